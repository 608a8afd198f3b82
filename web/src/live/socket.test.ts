import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LiveSocket } from './socket';

/** What the browser would give, in our hands. */
class Wire {
  static readonly OPEN = 1;
  static all: Wire[] = [];
  readyState = 0;
  sent: string[] = [];
  onopen = (): void => undefined;
  onmessage = (_: { data: string }): void => undefined;
  onclose = (): void => undefined;

  constructor() {
    Wire.all.push(this);
  }

  send(text: string): void {
    this.sent.push((JSON.parse(text) as { type: string }).type);
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.onopen();
  }

  hear(message: object): void {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

describe('a refusal on the socket', () => {
  beforeEach(() => {
    Wire.all = [];
    vi.useFakeTimers();
    vi.stubGlobal('WebSocket', Wire);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('that passes has everything asked once more, however many there were', () => {
    const live = new LiveSocket('ws://here', () => null);
    live.watch(7);
    live.subscribe('j1');
    const [wire] = Wire.all;
    wire!.open();
    expect(wire!.sent).toEqual(['subscribe', 'watch']);
    wire!.hear({ type: 'error', code: 'too_many_requests', detail: '' });
    wire!.hear({ type: 'error', code: 'store_unavailable', detail: '' });
    wire!.hear({ type: 'error', code: 'bad_job_reference', detail: '' });
    vi.advanceTimersByTime(10_000);
    expect(wire!.sent).toEqual(['subscribe', 'watch', 'subscribe', 'watch']);
  });

  it('of an old token brings the person back with a new one, and does not go on and on', async () => {
    const renew = vi.fn(() => Promise.resolve(true));
    const live = new LiveSocket('ws://here', () => 'token', renew);
    live.watch(7);
    const refuse = async (): Promise<void> => {
      const wire = Wire.all.at(-1)!;
      wire.open();
      wire.hear({ type: 'error', code: 'token_expired', detail: '' });
      await vi.advanceTimersByTimeAsync(0);
    };
    await refuse();
    expect([renew.mock.calls.length, Wire.all.length]).toEqual([1, 2]);
    await refuse();
    expect([renew.mock.calls.length, Wire.all.length]).toEqual([1, 2]);
  });
});
