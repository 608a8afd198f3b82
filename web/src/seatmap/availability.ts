/** The availability document: two bits a seat, and a count of what is free in each area. */

export const AVAILABLE = 0;
export const RESERVED = 1;
export const SOLD = 2;
export const IN_QUEUE = 3;
export type SeatState = 0 | 1 | 2 | 3;

export interface AreaCount {
  areaId: number;
  capacity: number;
  free: number;
}

export interface Availability {
  layoutVersion: number;
  version: number;
  /** One byte a seat here: drawing reads it far more often than it is decoded. */
  states: Uint8Array;
  areas: AreaCount[];
}

const HEADER_BYTES = 24;
const AREA_BYTES = 12;
const MAGIC = 0x31304155;

export class BadAvailability extends Error {
  override readonly name = 'BadAvailability';
}

export function decodeAvailability(buffer: ArrayBuffer): Availability {
  if (buffer.byteLength < HEADER_BYTES) throw new BadAvailability('shorter than its header');
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== MAGIC) throw new BadAvailability('not an UA01 document');
  const seats = view.getUint32(16, true);
  const areaCount = view.getUint32(20, true);
  const seatBytes = Math.ceil(seats / 4);
  if (buffer.byteLength < HEADER_BYTES + seatBytes + areaCount * AREA_BYTES) {
    throw new BadAvailability('shorter than it says');
  }
  return {
    layoutVersion: view.getUint32(4, true),
    version: Number(view.getBigUint64(8, true)),
    states: unpack(new Uint8Array(buffer, HEADER_BYTES, seatBytes), seats),
    areas: readAreas(view, HEADER_BYTES + seatBytes, areaCount),
  };
}

function unpack(bits: Uint8Array, seats: number): Uint8Array {
  const states = new Uint8Array(seats);
  for (let i = 0; i < seats; i++) states[i] = (bits[i >> 2]! >> ((i & 3) << 1)) & 3;
  return states;
}

function readAreas(view: DataView, start: number, count: number): AreaCount[] {
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * AREA_BYTES;
    return {
      areaId: view.getUint32(at, true),
      capacity: view.getUint32(at + 4, true),
      free: view.getUint32(at + 8, true),
    };
  });
}

/** What the versions of one gateway are counted within. */
const GATEWAY = 2 ** 32;

export interface Change {
  version: number;
  changes?: readonly (readonly [seatIndex: number, state: SeatState])[];
  areas?: readonly (readonly [areaId: number, free: number])[];
}

/**
 * Writes a change into the states in place (100,000 bytes are not copied for one seat) and returns the seats that
 * differ now; null for a change that the document already holds.
 */
export function applyChange(to: Availability, change: Change): number[] | null {
  // The upper part of a version names the gateway that counts it. The bytes may come from one and the socket be at
  // another: then the change is taken as it is, since it tells states and not steps.
  const isSameGateway = Math.floor(change.version / GATEWAY) === Math.floor(to.version / GATEWAY);
  if (isSameGateway && change.version <= to.version) return null;
  to.version = change.version;
  const moved: number[] = [];
  for (const [index, state] of change.changes ?? []) {
    if (index >= to.states.length || to.states[index] === state) continue;
    to.states[index] = state;
    moved.push(index);
  }
  const free = new Map(change.areas ?? []);
  if (free.size > 0) to.areas = to.areas.map((a) => ({ ...a, free: free.get(a.areaId) ?? a.free }));
  return moved;
}

export function isSelectable(state: number | undefined): boolean {
  return state === AVAILABLE || state === IN_QUEUE;
}

export function countStates(states: Uint8Array): [number, number, number, number] {
  const counts: [number, number, number, number] = [0, 0, 0, 0];
  for (const state of states) counts[state as SeatState] += 1;
  return counts;
}
