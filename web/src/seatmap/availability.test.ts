import { describe, expect, it } from 'vitest';
import { type Availability, applyChange, BadAvailability, countStates, decodeAvailability } from './availability';
import { stillFree, toggleSeat } from './selection';

function encode(states: number[], areas: [number, number, number][] = [], version = 5n): ArrayBuffer {
  const seatBytes = Math.ceil(states.length / 4);
  const buffer = new ArrayBuffer(24 + seatBytes + areas.length * 12);
  const view = new DataView(buffer);
  [0x55, 0x41, 0x30, 0x31].forEach((byte, i) => view.setUint8(i, byte));
  view.setUint32(4, 3, true);
  view.setBigUint64(8, version, true);
  view.setUint32(16, states.length, true);
  view.setUint32(20, areas.length, true);
  states.forEach((state, i) => {
    const at = 24 + (i >> 2);
    view.setUint8(at, view.getUint8(at) | (state << ((i & 3) * 2)));
  });
  areas.forEach((area, i) => area.forEach((value, k) => view.setUint32(24 + seatBytes + i * 12 + k * 4, value, true)));
  return buffer;
}

describe('the availability document', () => {
  it('reads two bits a seat, the lowest first', () => {
    const buffer = encode([0, 1, 2, 3, 3]);
    expect(new Uint8Array(buffer)[24]).toBe(0b11_10_01_00);
    const decoded = decodeAvailability(buffer);
    expect([...decoded.states]).toEqual([0, 1, 2, 3, 3]);
    expect(decoded).toMatchObject({ layoutVersion: 3, version: 5 });
  });

  it('reads areas that begin at any byte', () => {
    const decoded = decodeAvailability(encode([1], [[11, 800, 312], [12, 120, 0]]));
    expect(decoded.areas).toEqual([
      { areaId: 11, capacity: 800, free: 312 },
      { areaId: 12, capacity: 120, free: 0 },
    ]);
  });

  it('holds 100,000 seats in 25,024 bytes', () => {
    const states = Array.from({ length: 100_000 }, (_, i) => (i * 7) % 4);
    const buffer = encode(states);
    expect(buffer.byteLength).toBe(25_024);
    expect(countStates(decodeAvailability(buffer).states)).toEqual([25_000, 25_000, 25_000, 25_000]);
  });

  it('refuses what is not one', () => {
    expect(() => decodeAvailability(new ArrayBuffer(3))).toThrow(BadAvailability);
    expect(() => decodeAvailability(new ArrayBuffer(64))).toThrow(BadAvailability);
    expect(() => decodeAvailability(encode([0, 1, 2, 3, 0]).slice(0, 25))).toThrow(BadAvailability);
  });
});

describe('a change', () => {
  const start = (): Availability => decodeAvailability(encode([0, 0, 0, 0], [[11, 10, 10]]));

  it('writes states and counts, and names what moved', () => {
    const data = start();
    expect(applyChange(data, { version: 6, changes: [[1, 2], [2, 0], [99, 1]], areas: [[11, 4]] })).toEqual([1]);
    expect([...data.states]).toEqual([0, 2, 0, 0]);
    expect(data.areas[0]?.free).toBe(4);
    expect(data.version).toBe(6);
  });

  it('that is older than the document is ignored', () => {
    const data = start();
    expect(applyChange(data, { version: 5, changes: [[0, 2]] })).toBeNull();
    expect(data.states[0]).toBe(0);
    // A version of another gateway cannot be held against this one: the change counts.
    expect(applyChange(data, { version: 7 * 2 ** 32 + 1, changes: [[0, 2]] })).toEqual([0]);
    expect(data.states[0]).toBe(2);
  });
});

describe('the choice', () => {
  const states = Uint8Array.from([0, 1, 2, 3, 0]);

  it('takes free seats and those that others wait for, up to the limit', () => {
    expect(toggleSeat([], 0, states, 2)).toEqual({ chosen: [0], refused: null });
    expect(toggleSeat([0], 3, states, 2)).toEqual({ chosen: [0, 3], refused: null });
    expect(toggleSeat([0, 3], 4, states, 2)).toEqual({ chosen: [0, 3], refused: 'limit' });
    expect(toggleSeat([0, 3], 0, states, 2)).toEqual({ chosen: [3], refused: null });
    expect(toggleSeat([], 2, states, 2).refused).toBe('gone');
  });

  it('loses what others took', () => {
    expect(stillFree([0, 1, 4], states)).toEqual({ kept: [0, 4], lost: [1] });
  });
});
