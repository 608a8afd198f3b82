/** Pan and zoom as pure arithmetic. `scale` is pixels a world unit; (`x`, `y`) is the world point at the centre. */
import { type Box, height, width } from './layout';

export interface Viewport {
  x: number;
  y: number;
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Neighbouring seats are never further apart than this on the screen. */
export const MAX_PITCH_PX = 44;
const MARGIN_PX = 28;
/** Close up, seats at the hall's corners can be drawn out from under the buttons. */
const MARGIN_CLOSE_PX = 96;

export function fitScale(box: Box, pitch: number, size: Size): number {
  const w = Math.max(1, size.width - 2 * MARGIN_PX);
  const h = Math.max(1, size.height - 2 * MARGIN_PX);
  return Math.min(w / (width(box) + pitch), h / (height(box) + pitch), MAX_PITCH_PX / pitch);
}

export function fit(box: Box, pitch: number, size: Size): Viewport {
  return {
    x: (box.minX + box.maxX) / 2,
    y: (box.minY + box.maxY) / 2,
    scale: fitScale(box, pitch, size),
  };
}

export function toWorld(view: Viewport, size: Size, px: number, py: number): { x: number; y: number } {
  return { x: view.x + (px - size.width / 2) / view.scale, y: view.y + (py - size.height / 2) / view.scale };
}

export function toScreen(view: Viewport, size: Size, x: number, y: number): { x: number; y: number } {
  return { x: (x - view.x) * view.scale + size.width / 2, y: (y - view.y) * view.scale + size.height / 2 };
}

export function visibleBox(view: Viewport, size: Size): Box {
  const [w, h] = [size.width / 2 / view.scale, size.height / 2 / view.scale];
  return { minX: view.x - w, maxX: view.x + w, minY: view.y - h, maxY: view.y + h };
}

export function pan(view: Viewport, dxPx: number, dyPx: number): Viewport {
  return { ...view, x: view.x - dxPx / view.scale, y: view.y - dyPx / view.scale };
}

/** Zooms within its limits, so that the world point under (`px`, `py`) stays there. */
export function zoomAt(
  view: Viewport,
  { box, pitch }: { box: Box; pitch: number },
  size: Size,
  factor: number,
  px: number,
  py: number,
): Viewport {
  const anchor = toWorld(view, size, px, py);
  const scale = clampScale(view.scale * factor, box, pitch, size);
  // At a limit nothing moves: arithmetic alone would shift the picture by a hair, and hold the page's scroll.
  if (scale === view.scale) return view;
  return {
    x: anchor.x - (px - size.width / 2) / scale,
    y: anchor.y - (py - size.height / 2) / scale,
    scale,
  };
}

/** Keeps the zoom between the whole hall and single seats, and the hall within reach. */
export function clampView(view: Viewport, box: Box, pitch: number, size: Size): Viewport {
  const scale = clampScale(view.scale, box, pitch, size);
  const closeness = scale / fitScale(box, pitch, size) - 1;
  const margin = Math.min(MARGIN_CLOSE_PX, MARGIN_PX + closeness * MARGIN_CLOSE_PX) / scale;
  return {
    scale,
    x: clampAxis(view.x, box.minX, box.maxX, size.width / scale, margin),
    y: clampAxis(view.y, box.minY, box.maxY, size.height / scale, margin),
  };
}

function clampScale(scale: number, box: Box, pitch: number, size: Size): number {
  const least = fitScale(box, pitch, size);
  return Math.min(Math.max(least, MAX_PITCH_PX / pitch), Math.max(least, scale));
}

function clampAxis(at: number, min: number, max: number, seen: number, margin: number): number {
  const slack = (max - min + 2 * margin - seen) / 2;
  const middle = (min + max) / 2;
  if (slack <= 0) return middle;
  return Math.min(middle + slack, Math.max(middle - slack, at));
}
