/** Draws one frame of the seat map: the overview's picture far out, single seats close up. */
import { IN_QUEUE, RESERVED, SOLD, type SeatState } from './availability';
import type { SeatGrid } from './grid';
import type { Layout } from './layout';
import { sectionNames } from './names';
import type { Overview } from './overview';
import type { Palette } from './palette';
import { fillPlace } from './place';
import { type Size, toScreen, type Viewport, visibleBox } from './viewport';

export interface Scene {
  layout: Layout;
  grid: SeatGrid;
  overview: Overview;
  states: Uint8Array;
  palette: Palette;
  chosen: readonly number[];
  /** The keyboard's seat and the pointer's seat; -1 for none. */
  cursor: number;
  hover: number;
  tierId: number | null;
  view: Viewport;
  size: Size;
  pixelRatio: number;
}

const SEAT_LABELS_FROM_PX = 21;
const ROW_LABELS_FROM_PX = 13;
/** Closer together than this, seats are patches of floor; from here on they are dots that can be hit. */
export const ROUND_FROM_PX = 9;
const MARKS_FROM_PX = 10;
const RADIUS: Record<SeatState, number> = { 0: 0.4, 1: 0.34, 2: 0.17, 3: 0.34 };
const FONT = '"Inter", system-ui, sans-serif';

export function paint(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { size, pixelRatio, view, layout, overview } = scene;
  pen.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  pen.fillStyle = scene.palette.floor;
  pen.fillRect(0, 0, size.width, size.height);
  const pitchPx = layout.pitch * view.scale;
  if (view.scale * pixelRatio <= overview.scale * 1.25) paintOverview(pen, scene);
  else paintSeats(pen, scene, pitchPx);
  if (pitchPx >= ROW_LABELS_FROM_PX) paintRowLabels(pen, scene);
  else paintSectionNames(pen, scene);
  paintChosen(pen, scene, pitchPx);
  if (scene.hover >= 0) ring(pen, scene, scene.hover, scene.palette.label, 1.5);
  if (scene.cursor >= 0) ring(pen, scene, scene.cursor, scene.palette.cursor, 3);
}

function paintOverview(pen: CanvasRenderingContext2D, { overview, view, size }: Scene): void {
  const at = toScreen(view, size, overview.originX, overview.originY);
  const ratio = view.scale / overview.scale;
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(overview.canvas, at.x, at.y, overview.canvas.width * ratio, overview.canvas.height * ratio);
}

/** One path a colour: changing the fill for each seat costs more than the seats themselves. */
function paintSeats(pen: CanvasRenderingContext2D, scene: Scene, pitchPx: number): void {
  const { layout, states, view, size, tierId } = scene;
  const shown: number[][] = [[], [], [], []];
  const dimmed: number[] = [];
  scene.grid.forEachIn(visibleBox(view, size), (i) => {
    const isDimmed = tierId !== null && layout.rows[layout.rowOf[i]!]!.tierId !== tierId;
    (isDimmed ? dimmed : shown[states[i]!]!).push(i);
  });
  pen.globalAlpha = 0.16;
  paintBatch(pen, scene, dimmed, scene.palette.states[0], 0.34, pitchPx);
  pen.globalAlpha = 1;
  for (const state of [SOLD, RESERVED, IN_QUEUE, 0] as const) {
    paintBatch(pen, scene, shown[state]!, scene.palette.states[state], RADIUS[state], pitchPx);
  }
  if (pitchPx < MARKS_FROM_PX) return;
  // Shape as well as colour: what is in a cart has a bar, what somebody waits for has a hole.
  pen.fillStyle = scene.palette.floor;
  for (const i of shown[IN_QUEUE]!) hole(pen, scene, i, pitchPx * 0.17);
  for (const i of shown[RESERVED]!) bar(pen, scene, i, pitchPx);
  if (pitchPx >= SEAT_LABELS_FROM_PX) paintSeatLabels(pen, scene, shown[0]!, scene.palette.seatText, pitchPx);
}

function paintBatch(
  pen: CanvasRenderingContext2D,
  { layout, view, size, pixelRatio }: Scene,
  seats: readonly number[],
  colour: string,
  radius: number,
  pitchPx: number,
): void {
  const [dx, dy] = [size.width / 2 - view.x * view.scale, size.height / 2 - view.y * view.scale];
  const r = radius * pitchPx;
  pen.fillStyle = colour;
  if (pitchPx < ROUND_FROM_PX) {
    const scale = view.scale * pixelRatio;
    for (const i of seats) fillPlace(pen, layout, i, scale, dx * pixelRatio, dy * pixelRatio, 2 * radius);
    pen.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
    return;
  }
  // Very long paths are slower than several short ones.
  for (let start = 0; start < seats.length; start += 2_000) {
    pen.beginPath();
    for (const i of seats.slice(start, start + 2_000)) {
      const [px, py] = [layout.x[i]! * view.scale + dx, layout.y[i]! * view.scale + dy];
      pen.moveTo(px + r, py);
      pen.arc(px, py, r, 0, 2 * Math.PI);
    }
    pen.fill();
  }
}

function at({ layout, view, size }: Scene, i: number): { x: number; y: number } {
  return toScreen(view, size, layout.x[i]!, layout.y[i]!);
}

function hole(pen: CanvasRenderingContext2D, scene: Scene, i: number, r: number): void {
  const { x, y } = at(scene, i);
  pen.beginPath();
  pen.arc(x, y, r, 0, 2 * Math.PI);
  pen.fill();
}

function bar(pen: CanvasRenderingContext2D, scene: Scene, i: number, pitchPx: number): void {
  const { x, y } = at(scene, i);
  pen.fillRect(x - pitchPx * 0.2, y - pitchPx * 0.05, pitchPx * 0.4, pitchPx * 0.1);
}

function paintSeatLabels(
  pen: CanvasRenderingContext2D,
  scene: Scene,
  seats: readonly number[],
  colour: string,
  pitchPx: number,
): void {
  pen.fillStyle = colour;
  pen.font = `600 ${Math.round(pitchPx * 0.34)}px ${FONT}`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  for (const i of seats) {
    const { x, y } = at(scene, i);
    pen.fillText(scene.layout.labels[i]!, x, y + 0.5, pitchPx * 0.72);
  }
}

function paintRowLabels(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { layout, view, size, palette } = scene;
  const seen = visibleBox(view, size);
  const pitchPx = layout.pitch * view.scale;
  pen.fillStyle = palette.label;
  pen.globalAlpha = 0.7;
  pen.font = `500 ${Math.min(14, Math.round(pitchPx * 0.5))}px ${FONT}`;
  pen.textBaseline = 'middle';
  for (const row of layout.rows) {
    const y = layout.y[row.first]!;
    if (row.count === 0 || y < seen.minY || y > seen.maxY) continue;
    const ends = [row.first, row.first + row.count - 1] as const;
    const left = layout.x[ends[0]]! <= layout.x[ends[1]]! ? ends[0] : ends[1];
    const { x, y: py } = at(scene, left);
    if (x < -20 || x > size.width + 20) continue;
    pen.textAlign = 'right';
    pen.fillText(row.label, x - pitchPx * 0.75, py);
  }
  pen.globalAlpha = 1;
}

function paintSectionNames(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { layout, view, size, palette } = scene;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.font = `600 12px ${FONT}`;
  const placed = sectionNames(layout, view, size, (text) => pen.measureText(text).width);
  for (const { text, x, y, width, height } of placed) {
    pen.globalAlpha = 0.88;
    pen.fillStyle = palette.labelBack;
    pen.beginPath();
    pen.roundRect(x - width / 2, y - height / 2, width, height, height / 2);
    pen.fill();
    pen.globalAlpha = 1;
    pen.fillStyle = palette.label;
    pen.fillText(text, x, y + 0.5);
  }
}

function paintChosen(pen: CanvasRenderingContext2D, scene: Scene, pitchPx: number): void {
  const r = Math.max(4, pitchPx * 0.46);
  for (const i of scene.chosen) {
    const { x, y } = at(scene, i);
    pen.fillStyle = scene.palette.chosen;
    pen.beginPath();
    pen.arc(x, y, r, 0, 2 * Math.PI);
    pen.fill();
    if (r < 6) continue;
    pen.lineWidth = Math.max(1.5, r * 0.2);
    pen.strokeStyle = scene.palette.chosenText;
    pen.lineJoin = 'round';
    pen.lineCap = 'round';
    pen.beginPath();
    pen.moveTo(x - r * 0.42, y + r * 0.02);
    pen.lineTo(x - r * 0.1, y + r * 0.36);
    pen.lineTo(x + r * 0.46, y - r * 0.34);
    pen.stroke();
  }
}

function ring(pen: CanvasRenderingContext2D, scene: Scene, i: number, colour: string, lineWidth: number): void {
  const { x, y } = at(scene, i);
  pen.strokeStyle = colour;
  pen.lineWidth = lineWidth;
  pen.beginPath();
  pen.arc(x, y, Math.max(6, scene.layout.pitch * scene.view.scale * 0.5), 0, 2 * Math.PI);
  pen.stroke();
}
