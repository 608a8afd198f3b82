/** A seat seen from afar: the patch of floor that it has, so that rows far apart still make a hall. */
import type { Layout } from './layout';

/** How deep a patch may be, in pitches: beyond that the gap is an aisle. */
const DEEPEST = 8;

type Floor = Pick<Layout, 'x' | 'y' | 'alongX' | 'alongY' | 'pitch' | 'rowGap'>;

/** How deep each patch is, in world units. */
export function placeDepth({ pitch, rowGap }: Pick<Layout, 'pitch' | 'rowGap'>): number {
  return Math.min(rowGap, pitch * DEEPEST);
}

/** Fills seat `i`'s patch, turned as its row runs; (`dx`, `dy`) is where the world's origin lies. Leaves a transform. */
export function fillPlace(
  pen: CanvasRenderingContext2D,
  floor: Floor,
  i: number,
  scale: number,
  dx: number,
  dy: number,
  size: number,
): void {
  const [ax, ay] = [floor.alongX[i]!, floor.alongY[i]!];
  const step = Math.hypot(ax, ay);
  // Seats in one spot have no direction; a row's axis is as good as any.
  const [ux, uy] = step > 0 ? [ax / step, ay / step] : [1, 0];
  const [w, h] = [(step || floor.pitch) * scale * size, placeDepth(floor) * scale * size];
  pen.setTransform(ux, uy, -uy, ux, floor.x[i]! * scale + dx, floor.y[i]! * scale + dy);
  pen.fillRect(-w / 2, -h / 2, w, h);
}
