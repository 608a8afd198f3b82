/** A uniform grid over the seats: what is under the pointer, and what is on the screen. */
import type { Box, Layout } from './layout';
import { height, width } from './layout';

const CELL_PITCHES = 8;

export class SeatGrid {
  private readonly cell: number;
  private readonly columns: number;
  private readonly lines: number;
  /** Seats sorted by cell; cell `c` owns `items[starts[c] .. starts[c + 1]]`. */
  private readonly starts: Uint32Array;
  private readonly items: Uint32Array;

  constructor(private readonly layout: Layout) {
    const { box, count, pitch } = layout;
    // Scattered coordinates must not ask for millions of empty cells.
    const least = Math.sqrt(((width(box) + pitch) * (height(box) + pitch)) / 65_536);
    this.cell = Math.max(pitch * CELL_PITCHES, least);
    this.columns = Math.floor(width(box) / this.cell) + 1;
    this.lines = Math.floor(height(box) / this.cell) + 1;
    this.starts = new Uint32Array(this.columns * this.lines + 1);
    this.items = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.starts[this.cellOf(i) + 1]! += 1;
    for (let c = 1; c < this.starts.length; c++) this.starts[c]! += this.starts[c - 1]!;
    const next = this.starts.slice();
    for (let i = 0; i < count; i++) this.items[next[this.cellOf(i)]!++] = i;
  }

  private cellOf(i: number): number {
    return this.column(this.layout.x[i]!) + this.line(this.layout.y[i]!) * this.columns;
  }

  private column(x: number): number {
    return clamp(Math.floor((x - this.layout.box.minX) / this.cell), 0, this.columns - 1);
  }

  private line(y: number): number {
    return clamp(Math.floor((y - this.layout.box.minY) / this.cell), 0, this.lines - 1);
  }

  /** Calls `visit` for every seat of the cells that touch the box (a few outside of it included). */
  forEachIn(box: Box, visit: (index: number) => void): void {
    const [left, right] = [this.column(box.minX), this.column(box.maxX)];
    const [top, bottom] = [this.line(box.minY), this.line(box.maxY)];
    for (let line = top; line <= bottom; line++) {
      const from = this.starts[line * this.columns + left]!;
      const to = this.starts[line * this.columns + right + 1]!;
      for (let k = from; k < to; k++) visit(this.items[k]!);
    }
  }

  /** The nearest seat within `reach`, or -1. */
  nearest(x: number, y: number, reach: number, accept: (index: number) => boolean = () => true): number {
    const { x: xs, y: ys } = this.layout;
    let best = -1;
    let bestSquare = reach * reach;
    this.forEachIn({ minX: x - reach, minY: y - reach, maxX: x + reach, maxY: y + reach }, (i) => {
      const square = (xs[i]! - x) ** 2 + (ys[i]! - y) ** 2;
      if (square > bestSquare || !accept(i)) return;
      best = i;
      bestSquare = square;
    });
    return best;
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
