/**
 * The whole hall as one picture, painted once and patched seat by seat: far out, a frame costs one `drawImage`
 * however many seats there are.
 */
import { RESERVED, SOLD } from './availability';
import { height, type Layout, width } from './layout';
import type { Palette } from './palette';

const MAX_PIXELS = 6_000_000;
const MAX_SIDE = 4_096;
const BEST_PITCH_PX = 6;
const DIMMED = 0.16;

export class Overview {
  readonly canvas = document.createElement('canvas');
  /** Pixels of this picture a world unit. */
  readonly scale: number;
  private readonly pen: CanvasRenderingContext2D;

  constructor(private readonly layout: Layout) {
    const { box, pitch } = layout;
    const [w, h] = [width(box) + 2 * pitch, height(box) + 2 * pitch];
    this.scale = Math.min(BEST_PITCH_PX / pitch, Math.sqrt(MAX_PIXELS / (w * h)), MAX_SIDE / Math.max(w, h));
    this.canvas.width = Math.max(1, Math.ceil(w * this.scale));
    this.canvas.height = Math.max(1, Math.ceil(h * this.scale));
    const pen = this.canvas.getContext('2d');
    if (pen === null) throw new Error('This browser draws no canvas');
    this.pen = pen;
  }

  get originX(): number {
    return this.layout.box.minX - this.layout.pitch;
  }

  get originY(): number {
    return this.layout.box.minY - this.layout.pitch;
  }

  paintAll(states: Uint8Array, palette: Palette, tierId: number | null): void {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const state of [SOLD, RESERVED, 3, 0] as const) {
      this.pen.fillStyle = palette.states[state];
      for (let i = 0; i < this.layout.count; i++) if (states[i] === state) this.dot(i, state, tierId);
    }
    this.pen.globalAlpha = 1;
  }

  patch(indices: readonly number[], states: Uint8Array, palette: Palette, tierId: number | null): void {
    const cell = this.layout.pitch * this.scale;
    for (const i of indices) {
      const [x, y] = this.at(i);
      const state = states[i] as 0 | 1 | 2 | 3;
      this.pen.clearRect(x - cell / 2, y - cell / 2, cell, cell);
      this.pen.fillStyle = palette.states[state];
      this.dot(i, state, tierId);
    }
    this.pen.globalAlpha = 1;
  }

  private at(i: number): [number, number] {
    return [(this.layout.x[i]! - this.originX) * this.scale, (this.layout.y[i]! - this.originY) * this.scale];
  }

  private dot(i: number, state: number, tierId: number | null): void {
    const isDimmed = tierId !== null && this.layout.rows[this.layout.rowOf[i]!]!.tierId !== tierId;
    this.pen.globalAlpha = isDimmed ? DIMMED : 1;
    const [x, y] = this.at(i);
    const side = this.layout.pitch * this.scale * (state === SOLD ? 0.5 : 0.8);
    this.pen.fillRect(x - side / 2, y - side / 2, side, side);
  }
}
