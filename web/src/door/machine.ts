/** What a door says to a ticket, and which codes are worth asking about: pure. */
import { Problem, type ProblemCode } from '../api/problem';
import type { CheckedIn, Scan } from '../api/purchase';

export type DoorView =
  | { is: 'ready' }
  | { is: 'asking' }
  | { is: 'admitted'; entered: CheckedIn }
  | { is: 'refused'; code: Refusal; used: { at: string; gate: string } | null }
  /** No answer: nobody knows yet whether the ticket is good. */
  | { is: 'unknown'; error: unknown };

const REFUSALS = ['already_used', 'ticket_cancelled', 'wrong_event', 'event_over', 'bad_ticket_code', 'not_found'] as const;
export type Refusal = (typeof REFUSALS)[number];

export function afterError(error: unknown): DoorView {
  if (!(error instanceof Problem)) return { is: 'unknown', error };
  const code = REFUSALS.find((refusal: ProblemCode) => refusal === error.code);
  return code === undefined ? { is: 'unknown', error } : { is: 'refused', code, used: error.used };
}

const CODE = /^UT\d+\.[\w-]+\.[\w-]+$/;
const NUMBER_LENGTH = 12;

/** Reads what a scanner, a camera or a person put in; null where it can't be a ticket at all. */
export function shownBy(text: string): { code: string } | { number: string } | null {
  const code = text.trim();
  if (CODE.test(code)) return { code };
  const number = code.replace(/[\s-]/g, '').toUpperCase();
  return new RegExp(`^[0-9A-Z]{${NUMBER_LENGTH}}$`).test(number) ? { number } : null;
}

export function scanOf(text: string, eventId: number, gate: string): Scan | null {
  const shown = shownBy(text);
  return shown === null ? null : { eventId, gate: gate.trim(), ...shown };
}

/** A camera sees the same code many times a second; it counts once until it has been away, or another one came. */
export class SeenOnce {
  private last: string | null = null;
  private lastAt = -Infinity;

  constructor(private readonly awayMs = 3_000) {}

  isNew(code: string, now: number): boolean {
    const isSame = code === this.last && now - this.lastAt < this.awayMs;
    this.last = code;
    this.lastAt = now;
    return !isSame;
  }
}
