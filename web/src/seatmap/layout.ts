/** The seat map, flattened into arrays that can be drawn and searched without touching 100,000 objects. */
import type { SeatMapDoc } from '../api/types';

export interface Box {
  minX: number;
  minY: number;
  maxX: number;
  maxY: number;
}

export interface Row {
  section: number;
  label: string;
  tierId: number | null;
  first: number;
  count: number;
}

export interface Section {
  id: number;
  name: string;
  firstRow: number;
  rowCount: number;
  box: Box;
}

export interface Layout {
  layoutVersion: number;
  count: number;
  x: Float32Array;
  y: Float32Array;
  /** Ids are 64-bit integers; a double holds those below 2^53. */
  ids: Float64Array;
  labels: string[];
  rowOf: Uint32Array;
  rows: Row[];
  sections: Section[];
  box: Box;
  /** The usual distance between neighbours: the unit of all sizes on the map. */
  pitch: number;
  /** The usual distance between rows. */
  rowGap: number;
  /** For each seat the step along its row, as a vector: which way it faces, and how much room it has. */
  alongX: Float32Array;
  alongY: Float32Array;
  indexOf: Map<number, number>;
}

export function buildLayout(doc: SeatMapDoc): Layout {
  const count = doc.sections.reduce((n, s) => n + s.rows.reduce((m, r) => m + r.seats.length, 0), 0);
  const layout: Layout = {
    layoutVersion: doc.layoutVersion,
    count,
    x: new Float32Array(count),
    y: new Float32Array(count),
    ids: new Float64Array(count),
    labels: new Array<string>(count),
    rowOf: new Uint32Array(count),
    rows: [],
    sections: [],
    box: emptyBox(),
    pitch: 1,
    rowGap: 1,
    alongX: new Float32Array(count),
    alongY: new Float32Array(count),
    indexOf: new Map(),
  };
  let at = 0;
  for (const section of doc.sections) {
    const firstRow = layout.rows.length;
    for (const row of section.rows) {
      const first = at;
      for (const [id, label, x, y] of row.seats) {
        layout.ids[at] = id;
        layout.labels[at] = label;
        layout.x[at] = x;
        layout.y[at] = y;
        layout.rowOf[at] = layout.rows.length;
        layout.indexOf.set(id, at);
        at += 1;
      }
      const sectionIndex = layout.sections.length;
      layout.rows.push({ section: sectionIndex, label: row.label, tierId: row.tierId ?? null, first, count: at - first });
    }
    const rowCount = layout.rows.length - firstRow;
    layout.sections.push({ id: section.id, name: section.name, firstRow, rowCount, box: emptyBox() });
  }
  layout.pitch = measurePitch(layout);
  layout.rowGap = measureRowGap(layout);
  measureSteps(layout);
  measureBoxes(layout);
  if (sectionsCollide(layout)) shelve(layout);
  return layout;
}

export function emptyBox(): Box {
  return { minX: Infinity, minY: Infinity, maxX: -Infinity, maxY: -Infinity };
}

/** The median step along rows, which aisles and gaps do not move. */
function measurePitch({ rows, x, y }: Layout): number {
  const steps: number[] = [];
  const stride = Math.max(1, Math.floor(rows.length / 200));
  for (let r = 0; r < rows.length; r += stride) {
    const { first, count } = rows[r]!;
    for (let i = first + 1; i < first + Math.min(count, 40); i++) {
      const step = Math.hypot(x[i]! - x[i - 1]!, y[i]! - y[i - 1]!);
      if (step > 0) steps.push(step);
    }
  }
  steps.sort((a, b) => a - b);
  return steps[steps.length >> 1] ?? 1;
}

/** The median distance from a row's middle to the row behind it; one that says nothing counts as a pitch. */
function measureRowGap({ rows, x, y, pitch }: Layout): number {
  const gaps: number[] = [];
  const middle = ({ first, count }: Row): number => first + (count >> 1);
  for (let r = 1; r < rows.length; r++) {
    const [before, row] = [rows[r - 1]!, rows[r]!];
    if (before.section !== row.section || before.count === 0 || row.count === 0) continue;
    const [a, b] = [middle(before), middle(row)];
    const gap = Math.hypot(x[b]! - x[a]!, y[b]! - y[a]!);
    if (gap > 0) gaps.push(gap);
  }
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1] ?? pitch;
}

function measureSteps({ rows, x, y, alongX, alongY, pitch }: Layout): void {
  for (const { first, count } of rows) {
    for (let i = first; i < first + count; i++) {
      const back = i > first ? Math.hypot(x[i]! - x[i - 1]!, y[i]! - y[i - 1]!) : Infinity;
      const ahead = i + 1 < first + count ? Math.hypot(x[i + 1]! - x[i]!, y[i + 1]! - y[i]!) : Infinity;
      // Beside an aisle the nearer neighbour says how wide a seat is.
      const [from, to] = ahead <= back ? [i, i + 1] : [i - 1, i];
      const isAlone = Math.min(back, ahead) === Infinity;
      alongX[i] = isAlone ? pitch : x[to]! - x[from]!;
      alongY[i] = isAlone ? 0 : y[to]! - y[from]!;
    }
  }
}

function measureBoxes(layout: Layout): void {
  layout.box = emptyBox();
  for (const section of layout.sections) {
    section.box = emptyBox();
    const from = layout.rows[section.firstRow]?.first ?? 0;
    const last = layout.rows[section.firstRow + section.rowCount - 1];
    const to = last && section.rowCount > 0 ? last.first + last.count : from;
    for (let i = from; i < to; i++) {
      grow(section.box, layout.x[i]!, layout.y[i]!);
      grow(layout.box, layout.x[i]!, layout.y[i]!);
    }
  }
  if (layout.count === 0) layout.box = { minX: 0, minY: 0, maxX: 1, maxY: 1 };
}

function grow(box: Box, x: number, y: number): void {
  if (x < box.minX) box.minX = x;
  if (y < box.minY) box.minY = y;
  if (x > box.maxX) box.maxX = x;
  if (y > box.maxY) box.maxY = y;
}

/** Some halls give each section coordinates of its own; drawn as they are, the sections would lie on each other. */
function sectionsCollide({ x, y, rowOf, rows, count, pitch }: Layout): boolean {
  const taken = new Map<string, number>();
  let collisions = 0;
  const stride = Math.max(1, Math.floor(count / 20_000));
  for (let i = 0; i < count; i += stride) {
    const key = `${Math.round(x[i]! / pitch)}:${Math.round(y[i]! / pitch)}`;
    const section = rows[rowOf[i]!]!.section;
    const other = taken.get(key);
    if (other === undefined) taken.set(key, section);
    else if (other !== section) collisions += 1;
  }
  return collisions > (count / stride) * 0.1;
}

/** Puts sections side by side on shelves, about as wide as high together. */
function shelve(layout: Layout): void {
  const gap = layout.pitch * 4;
  const area = layout.sections.reduce((sum, { box }) => sum + (width(box) + gap) * (height(box) + gap), 0);
  const shelfWidth = Math.sqrt(area) * 1.3;
  let left = 0;
  let top = 0;
  let shelfHeight = 0;
  for (const section of layout.sections) {
    if (section.box.minX === Infinity) continue;
    if (left > 0 && left + width(section.box) > shelfWidth) {
      top += shelfHeight + gap;
      left = 0;
      shelfHeight = 0;
    }
    moveSection(layout, section, left - section.box.minX, top - section.box.minY);
    left += width(section.box) + gap;
    shelfHeight = Math.max(shelfHeight, height(section.box));
  }
  measureBoxes(layout);
}

function moveSection(layout: Layout, section: Section, dx: number, dy: number): void {
  for (const row of layout.rows.slice(section.firstRow, section.firstRow + section.rowCount)) {
    for (let i = row.first; i < row.first + row.count; i++) {
      layout.x[i]! += dx;
      layout.y[i]! += dy;
    }
  }
}

export function width(box: Box): number {
  return box.maxX - box.minX;
}

export function height(box: Box): number {
  return box.maxY - box.minY;
}

/** Where a seat is, in words' parts. */
export function placeOf(layout: Layout, index: number): { section: Section; row: Row; label: string } {
  const row = layout.rows[layout.rowOf[index]!]!;
  return { section: layout.sections[row.section]!, row, label: layout.labels[index]! };
}
