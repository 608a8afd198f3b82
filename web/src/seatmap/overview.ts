/**
 * The whole hall as one picture, painted once and patched seat by seat: far out, a frame costs one `drawImage`
 * however many seats there are.
 */
import { RESERVED, SOLD } from './availability';
import { height, type Layout, width } from './layout';
import type { Palette } from './palette';
import { fillPlace, placeDepth } from './place';

const MAX_PIXELS = 6_000_000;
const MAX_SIDE = 4_096;
const BEST_PITCH_PX = 6;
const DIMMED = 0.16;
const SIZE = 0.84;
const SIZE_SOLD = 0.5;

export class Overview {
  readonly canvas = document.createElement('canvas');
  /** Pixels of this picture a world unit. */
  readonly scale: number;
  /** Room for the patches of the outermost seats, in world units. */
  private readonly margin: number;
  private readonly pen: CanvasRenderingContext2D;

  constructor(private readonly layout: Layout) {
    const { box, pitch } = layout;
    this.margin = Math.max(pitch, placeDepth(layout));
    const [w, h] = [width(box) + 2 * this.margin, height(box) + 2 * this.margin];
    this.scale = Math.min(BEST_PITCH_PX / pitch, Math.sqrt(MAX_PIXELS / (w * h)), MAX_SIDE / Math.max(w, h));
    this.canvas.width = Math.max(1, Math.ceil(w * this.scale));
    this.canvas.height = Math.max(1, Math.ceil(h * this.scale));
    const pen = this.canvas.getContext('2d');
    if (pen === null) throw new Error('This browser draws no canvas');
    this.pen = pen;
  }

  get originX(): number {
    return this.layout.box.minX - this.margin;
  }

  get originY(): number {
    return this.layout.box.minY - this.margin;
  }

  paintAll(states: Uint8Array, palette: Palette, tierId: number | null): void {
    this.pen.resetTransform();
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const state of [SOLD, RESERVED, 3, 0] as const) {
      this.pen.fillStyle = palette.states[state];
      for (let i = 0; i < this.layout.count; i++) if (states[i] === state) this.dot(i, state, tierId);
    }
    this.pen.globalAlpha = 1;
  }

  patch(indices: readonly number[], states: Uint8Array, palette: Palette, tierId: number | null): void {
    for (const i of indices) {
      const state = states[i] as 0 | 1 | 2 | 3;
      this.pen.globalCompositeOperation = 'destination-out';
      this.pen.globalAlpha = 1;
      this.place(i, 1);
      this.pen.globalCompositeOperation = 'source-over';
      this.pen.fillStyle = palette.states[state];
      this.dot(i, state, tierId);
    }
    this.pen.globalAlpha = 1;
  }

  private place(i: number, size: number): void {
    fillPlace(this.pen, this.layout, i, this.scale, -this.originX * this.scale, -this.originY * this.scale, size);
  }

  private dot(i: number, state: number, tierId: number | null): void {
    const isDimmed = tierId !== null && this.layout.rows[this.layout.rowOf[i]!]!.tierId !== tierId;
    this.pen.globalAlpha = isDimmed ? DIMMED : 1;
    this.place(i, state === SOLD ? SIZE_SOLD : SIZE);
  }
}
