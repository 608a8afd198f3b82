/**
 * The one WebSocket of the page. It remembers what is subscribed, comes back by itself, and then asks for
 * everything again: the server answers each subscription with the full state, so nothing lost matters.
 */
import { backoffMs, jittered, SOCKET_BACKOFF } from './backoff';
import { type FromServer, parseMessage, type ToServer } from './messages';

const PING_EVERY_MS = 25_000;
const PONG_WITHIN_MS = 10_000;
/** A connection that held this long was a good one: the next loss starts its backoff from the beginning. */
const GOOD_AFTER_MS = 10_000;
/** Between a refused question and asking again. */
const ASK_AGAIN_MS = 3_500;
/** A token that was renewed so lately and is refused again would not get better by another renewal. */
const RENEW_AT_MOST_EVERY_MS = 60_000;
/** After a renewal that failed for a reason that passes. */
const RENEW_LATER_MS = 2 * RENEW_AT_MOST_EVERY_MS;

/** Refusals that pass. */
const PASSING: ReadonlySet<string> = new Set(['too_many_requests', 'store_unavailable', 'queue_unavailable', 'timeout']);
const SIGNED_OUT: ReadonlySet<string> = new Set(['token_expired', 'unauthenticated']);

type Listener = (message: FromServer) => void;

export class LiveSocket {
  private socket: WebSocket | null = null;
  private readonly jobs = new Map<string, number>();
  private readonly events = new Map<number, number>();
  private readonly listeners = new Set<Listener>();
  private readonly stateListeners = new Set<(isUp: boolean) => void>();
  private keepers = 0;
  private attempt = 0;
  private openedAt = 0;
  private isUp = false;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private heartbeat: ReturnType<typeof setInterval> | undefined;
  private pongDue: ReturnType<typeof setTimeout> | undefined;
  private again: ReturnType<typeof setTimeout> | undefined;
  private renewedAt = -Infinity;

  constructor(
    private readonly url: string,
    private readonly token: () => string | null,
    /** Gets a new token in place of one that has run out; whether there is one. */
    private readonly renew: () => Promise<boolean> = () => Promise.resolve(false),
  ) {}

  get up(): boolean {
    return this.isUp;
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Told at once and at every change. */
  listenState(listener: (isUp: boolean) => void): () => void {
    this.stateListeners.add(listener);
    listener(this.isUp);
    return () => this.stateListeners.delete(listener);
  }

  /** Keeps the socket open for what comes unasked, such as the expiry of one's own seats. */
  keepOpen(): () => void {
    this.keepers += 1;
    this.wake();
    return this.undoOnce(() => (this.keepers -= 1));
  }

  subscribe(jobId: string): () => void {
    return this.hold(this.jobs, jobId, { type: 'subscribe', jobId }, { type: 'unsubscribe', jobId });
  }

  watch(eventId: number): () => void {
    return this.hold(this.events, eventId, { type: 'watch', eventId }, { type: 'unwatch', eventId });
  }

  /** Connects anew as whoever is signed in now. */
  restart(): void {
    this.attempt = 0;
    this.drop();
    this.wake();
  }

  /** Called when the network returns or the page is looked at again: no reason to sit out a long backoff. */
  hurry(): void {
    if (this.socket !== null) return;
    this.attempt = 0;
    this.wake();
  }

  private hold<K>(held: Map<K, number>, key: K, ask: ToServer, unask: ToServer): () => void {
    const before = held.get(key) ?? 0;
    held.set(key, before + 1);
    if (before === 0) this.send(ask);
    this.wake();
    return this.undoOnce(() => {
      const left = (held.get(key) ?? 1) - 1;
      if (left > 0) {
        held.set(key, left);
        return;
      }
      held.delete(key);
      this.send(unask);
    });
  }

  private undoOnce(undo: () => void): () => void {
    let isDone = false;
    return () => {
      if (isDone) return;
      isDone = true;
      undo();
      if (!this.isWanted()) this.drop();
    };
  }

  private isWanted(): boolean {
    return this.keepers + this.jobs.size + this.events.size > 0;
  }

  private wake(): void {
    if (this.socket !== null || !this.isWanted()) return;
    clearTimeout(this.retry);
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
  }

  private opened(): void {
    this.openedAt = performance.now();
    const token = this.token();
    if (token !== null) this.send({ type: 'auth', token });
    this.askAll();
    this.heartbeat = setInterval(() => this.ping(), PING_EVERY_MS);
    this.setUp(true);
  }

  /** Asking for what one has already is answered with its state in full. */
  private askAll(): void {
    for (const jobId of this.jobs.keys()) this.send({ type: 'subscribe', jobId });
    for (const eventId of this.events.keys()) this.send({ type: 'watch', eventId });
  }

  /** The server names no question with its refusal, so all of them are asked again. */
  private refused(code: string): void {
    if (PASSING.has(code)) {
      this.again ??= setTimeout(() => {
        this.again = undefined;
        this.askAll();
      }, jittered(ASK_AGAIN_MS, Math.random));
    } else if (SIGNED_OUT.has(code) && performance.now() - this.renewedAt > RENEW_AT_MOST_EVERY_MS) {
      this.renewedAt = performance.now();
      void this.renew().then((isRenewed) => {
        if (isRenewed) this.restart();
        else if (this.token() !== null) this.again ??= setTimeout(() => this.restart(), jittered(RENEW_LATER_MS, Math.random));
      });
    }
  }

  private ping(): void {
    this.send({ type: 'ping' });
    clearTimeout(this.pongDue);
    this.pongDue = setTimeout(() => {
      this.drop();
      this.retryLater();
    }, PONG_WITHIN_MS);
  }

  private received(data: unknown): void {
    clearTimeout(this.pongDue);
    const message = typeof data === 'string' ? parseMessage(data) : null;
    if (message === null) return;
    if (message.type === 'error') this.refused(message.code);
    for (const listener of this.listeners) listener(message);
  }

  private lost(): void {
    const wasGood = this.isUp && performance.now() - this.openedAt > GOOD_AFTER_MS;
    if (wasGood) this.attempt = 0;
    this.drop();
    this.retryLater();
  }

  private retryLater(): void {
    if (!this.isWanted()) return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.wake(), backoffMs(this.attempt, SOCKET_BACKOFF, Math.random));
    this.attempt += 1;
  }

  private drop(): void {
    clearTimeout(this.retry);
    clearInterval(this.heartbeat);
    clearTimeout(this.pongDue);
    clearTimeout(this.again);
    this.again = undefined;
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.setUp(false);
  }

  private send(message: ToServer): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private setUp(isUp: boolean): void {
    if (this.isUp === isUp) return;
    this.isUp = isUp;
    for (const listener of this.stateListeners) listener(isUp);
  }
}
