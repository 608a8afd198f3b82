import { describe, expect, it } from 'vitest';
import type { SeatMapDoc, SeatTuple } from '../api/types';
import { SeatGrid } from './grid';
import { buildLayout, placeOf } from './layout';
import { sectionNames, withoutCommonStart } from './names';
import { placeDepth } from './place';
import { clampView, fit, MAX_PITCH_PX, toScreen, toWorld, zoomAt } from './viewport';
import { step } from './walk';

/** Blocks of `rows` × `seats`, the next one `shift` to the right of the last. */
function hall(blocks: number, rows: number, seats: number, shift: number): SeatMapDoc {
  let id = 1_000;
  return {
    eventId: 1,
    layoutVersion: 2,
    sections: Array.from({ length: blocks }, (_, b) => ({
      id: b + 1,
      name: `Block ${b + 1}`,
      rows: Array.from({ length: rows }, (_, r) => ({
        id: r,
        label: String(r + 1),
        tierId: 1,
        seats: Array.from({ length: seats }, (_, s): SeatTuple => [id++, String(s + 1), b * shift + s * 2, r * 2]),
      })),
    })),
  };
}

describe('the layout', () => {
  it('keeps the order of the seat map and knows its measures', () => {
    const layout = buildLayout(hall(2, 3, 5, 20));
    expect(layout.count).toBe(30);
    expect(layout.pitch).toBe(2);
    expect(layout.indexOf.get(1_007)).toBe(7);
    expect(layout.box).toEqual({ minX: 0, minY: 0, maxX: 28, maxY: 4 });
    const place = placeOf(layout, 17);
    expect([place.section.name, place.row.label, place.label]).toEqual(['Block 2', '1', '3']);
  });

  it('moves sections apart whose coordinates are their own', () => {
    const layout = buildLayout(hall(4, 3, 5, 0));
    const corners = layout.sections.map((s) => `${s.box.minX}:${s.box.minY}`);
    expect(new Set(corners).size).toBe(4);
  });

  it('of an empty hall has a box', () => {
    expect(buildLayout({ eventId: 1, layoutVersion: 1, sections: [] }).box.maxX).toBe(1);
  });
});

describe('the grid', () => {
  const layout = buildLayout(hall(20, 50, 100, 210));
  const grid = new SeatGrid(layout);

  it('finds every one of 100,000 seats at its own point', () => {
    for (let i = 0; i < layout.count; i += 997) expect(grid.nearest(layout.x[i]!, layout.y[i]!, 1)).toBe(i);
    expect(grid.nearest(layout.x[layout.count - 1]!, layout.y[layout.count - 1]!, 1)).toBe(layout.count - 1);
  });

  it('finds nothing in an aisle, and skips what is not wanted', () => {
    expect(grid.nearest(-50, -50, 1)).toBe(-1);
    expect(grid.nearest(0, 0, 3, (i) => i !== 0)).not.toBe(0);
  });

  it('visits a part of the hall for a part of the screen', () => {
    let seen = 0;
    grid.forEachIn({ minX: 0, minY: 0, maxX: 40, maxY: 40 }, () => (seen += 1));
    expect(seen).toBeGreaterThan(400);
    expect(seen).toBeLessThan(2_000);
  });
});

describe('the view', () => {
  const layout = buildLayout(hall(2, 3, 5, 20));
  const { box, pitch } = layout;
  const size = { width: 400, height: 300 };

  it('shows the whole hall at first', () => {
    const view = fit(box, pitch, size);
    for (const [x, y] of [[box.minX, box.minY], [box.maxX, box.maxY]] as const) {
      const at = toScreen(view, size, x, y);
      expect(at.x).toBeGreaterThan(0);
      expect(at.x).toBeLessThan(size.width);
      expect(at.y).toBeGreaterThan(0);
      expect(at.y).toBeLessThan(size.height);
    }
  });

  it('zooms about the pointer', () => {
    const view = fit(box, pitch, size);
    const before = toWorld(view, size, 310, 40);
    const after = toWorld(zoomAt(view, layout, size, 1.4, 310, 40), size, 310, 40);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it('does not drift when it can zoom no further', () => {
    const view = fit(box, pitch, size);
    expect(zoomAt(view, layout, size, 0.5, 310, 40)).toBe(view);
    const closest = zoomAt(view, layout, size, 1_000, 310, 40);
    expect(zoomAt(closest, layout, size, 2, 12, 290)).toBe(closest);
  });

  it('stays within the hall and its zooms', () => {
    const far = clampView({ x: 9_999, y: -9_999, scale: 1e9 }, box, pitch, size);
    expect(far.scale * pitch).toBeCloseTo(MAX_PITCH_PX);
    expect(toScreen(far, size, box.maxX, 0).x).toBeGreaterThan(0);
    const near = clampView({ x: 0, y: 0, scale: 1e-9 }, box, pitch, size);
    expect(near.scale).toBeCloseTo(fit(box, pitch, size).scale);
  });
});

describe('the keyboard', () => {
  const layout = buildLayout(hall(2, 3, 5, 20));

  it('walks rows and stops at their ends', () => {
    expect(step(layout, -1, 'right')).toBe(0);
    expect(step(layout, 0, 'right')).toBe(1);
    expect(step(layout, 0, 'left')).toBe(0);
    expect(step(layout, 2, 'rowEnd')).toBe(4);
    expect(step(layout, 4, 'right')).toBe(4);
  });

  it('crosses rows and sections', () => {
    expect(step(layout, 2, 'down')).toBe(7);
    expect(step(layout, 7, 'up')).toBe(2);
    expect(step(layout, 2, 'up')).toBe(2);
    expect(step(layout, 3, 'nextSection')).toBe(15);
    expect(step(layout, 20, 'nextSection')).toBe(0);
  });
});

describe('what a hall looks like from afar', () => {
  it('a seat has the room of its row, beside an aisle too', () => {
    const doc = hall(1, 3, 4, 20);
    for (const row of doc.sections[0]!.rows) for (const seat of row.seats.slice(2)) seat[2] += 6;
    const layout = buildLayout(doc);
    expect([...layout.alongX.slice(0, 4)]).toEqual([2, 2, 2, 2]);
    expect(layout.rowGap).toBe(2);
  });

  it('rows far apart are deep, but not without end', () => {
    expect(placeDepth({ pitch: 1, rowGap: 5 })).toBe(5);
    expect(placeDepth({ pitch: 1, rowGap: 500 })).toBe(8);
  });

  it('sections go by what tells them apart', () => {
    expect(withoutCommonStart(['Block 1', 'Block 2'])).toEqual(['1', '2']);
    expect(withoutCommonStart(['Stalls', 'Balcony'])).toEqual(['Stalls', 'Balcony']);
    expect(withoutCommonStart(['Upper A', 'Upper'])).toEqual(['Upper A', 'Upper']);
  });

  it('names that would lie on each other are shortened, then left out', () => {
    const layout = buildLayout(hall(4, 3, 5, 20));
    const size = { width: 800, height: 200 };
    const texts = (scale: number): string[] =>
      sectionNames(layout, { x: 34, y: 2, scale }, size, (text) => text.length * 6).map((n) => n.text);
    expect(texts(9)).toEqual(['Block 1', 'Block 2', 'Block 3', 'Block 4']);
    expect(texts(2)).toEqual(['1', '2', '3', '4']);
    expect(texts(0.5)).toEqual([]);
  });
});
