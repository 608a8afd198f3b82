/** The seats chosen so far: pure steps over a list of seat indices. */
import { isSelectable } from './availability';

export interface Toggled {
  chosen: number[];
  refused: 'limit' | 'gone' | null;
}

export function toggleSeat(chosen: readonly number[], index: number, states: Uint8Array, limit: number): Toggled {
  if (chosen.includes(index)) return { chosen: chosen.filter((i) => i !== index), refused: null };
  if (!isSelectable(states[index])) return { chosen: [...chosen], refused: 'gone' };
  if (chosen.length >= limit) return { chosen: [...chosen], refused: 'limit' };
  return { chosen: [...chosen, index], refused: null };
}

/** Splits off what others have taken meanwhile. */
export function stillFree(chosen: readonly number[], states: Uint8Array): { kept: number[]; lost: number[] } {
  const kept = chosen.filter((i) => isSelectable(states[i]));
  return { kept, lost: chosen.filter((i) => !kept.includes(i)) };
}
