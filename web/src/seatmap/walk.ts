/** Moving from seat to seat by keyboard. */
import type { Layout } from './layout';

export type Step = 'left' | 'right' | 'up' | 'down' | 'rowStart' | 'rowEnd' | 'nextSection' | 'previousSection';

export function step(layout: Layout, from: number, by: Step): number {
  if (layout.count === 0) return -1;
  if (from < 0 || from >= layout.count) return 0;
  const row = layout.rows[layout.rowOf[from]!]!;
  switch (by) {
    case 'left':
    case 'right':
      return alongRow(layout, from, by);
    case 'rowStart':
      return row.first;
    case 'rowEnd':
      return row.first + row.count - 1;
    case 'up':
    case 'down':
      return acrossRows(layout, from, by === 'up' ? -1 : 1);
    case 'nextSection':
      return firstOfSection(layout, row.section + 1);
    case 'previousSection':
      return firstOfSection(layout, row.section - 1);
  }
}

/** Rows may be numbered from either side; the arrows follow the picture. */
function alongRow({ x, rows, rowOf }: Layout, from: number, by: 'left' | 'right'): number {
  const row = rows[rowOf[from]!]!;
  const last = row.first + row.count - 1;
  const runsRight = x[last]! >= x[row.first]!;
  const next = from + ((by === 'right') === runsRight ? 1 : -1);
  return next < row.first || next > last ? from : next;
}

/** The nearest seat in a cone above or below; sections and aisles are crossed. */
function acrossRows({ x, y, count, rowOf }: Layout, from: number, sign: 1 | -1): number {
  let best = from;
  let bestCost = Infinity;
  for (let i = 0; i < count; i++) {
    if (rowOf[i] === rowOf[from]) continue;
    const dy = (y[i]! - y[from]!) * sign;
    if (dy <= 0) continue;
    const dx = Math.abs(x[i]! - x[from]!);
    if (dx > dy * 1.5) continue;
    const cost = dy + dx * 2;
    if (cost < bestCost) {
      best = i;
      bestCost = cost;
    }
  }
  return best;
}

function firstOfSection(layout: Layout, index: number): number {
  const at = (index + layout.sections.length) % layout.sections.length;
  const section = layout.sections[at]!;
  return layout.rows[section.firstRow]?.first ?? 0;
}
