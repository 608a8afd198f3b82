import { describe, expect, it } from 'vitest';
import type { OfficeEvent } from '../api/office.types';
import { changesOf, flawsOfEvent, formOf, NEW_EVENT, patchOf, tiersFor } from './event-form';
import { layoutFile } from './layout-file';
import { PagedList, numbered } from './list.svelte';
import { parsePrice, priceText } from './money';
import { readLabels } from './seat-labels';
import { fromLocal, toLocal } from './times';

const event: OfficeEvent = {
  id: 7, venueId: 2, name: 'Club', description: '', artistIds: [4, 5], startsAt: '2027-03-01T18:00:00.000Z', endsAt: null,
  salesOpenAt: '2026-12-01T08:00:00.000Z', salesCloseAt: '2027-03-01T17:00:00.000Z', seatLimit: 6, holdSeconds: 900,
  oneBookingEach: false, refundUntilHours: null, status: 'scheduled', totalSeats: 10,
  tiers: [{ id: 1, name: 'A', price: { amount: 1_250, currency: 'EUR' } }], warnings: [],
};

describe('the form of an event', () => {
  it('sends only what was changed', () => {
    const before = patchOf(formOf(event));
    const after = patchOf({ ...formOf(event), name: ' Club II ', refundUntilHours: '48', tiers: [{ name: 'A', price: '13' }] });
    if (before === null || after === null) throw new Error('the form has flaws');
    expect(changesOf(before, before)).toEqual({});
    expect(changesOf(before, after)).toEqual({
      name: 'Club II', refundUntilHours: 48, tiers: [{ name: 'A', price: { amount: 1_300, currency: 'EUR' } }],
    });
  });

  it('removes what need not be there', () => {
    const before = patchOf(formOf({ ...event, description: 'Loud', endsAt: '2027-03-01T20:00:00.000Z', refundUntilHours: 24 }));
    const after = patchOf({ ...formOf(event), refundUntilHours: ' ' });
    if (before === null || after === null) throw new Error('the form has flaws');
    expect(changesOf(before, after)).toEqual({ description: null, endsAt: null, refundUntilHours: null });
  });

  it('names what is missing or does not fit', () => {
    expect(flawsOfEvent(NEW_EVENT)).toEqual({
      name: 'required', venueId: 'required', startsAt: 'required', salesOpenAt: 'required', salesCloseAt: 'required',
    });
    const form = formOf(event);
    expect(flawsOfEvent({ ...form, endsAt: form.startsAt, salesCloseAt: form.salesOpenAt })).toEqual({ endsAt: 'order', salesCloseAt: 'order' });
    expect(flawsOfEvent({ ...form, seatLimit: '0', holdSeconds: 'x', refundUntilHours: '-1' })).toEqual({
      seatLimit: 'number', holdSeconds: 'number', refundUntilHours: 'number',
    });
    expect(flawsOfEvent({ ...form, tiers: [{ name: 'A', price: '' }] })).toEqual({ tiers: 'price' });
    expect(patchOf(NEW_EVENT)).toBeNull();
  });

  it('asks for a price of each tier of its layout', () => {
    expect(tiersFor(['A', 'B'], [{ name: 'B', price: '5' }, { name: 'C', price: '1' }])).toEqual([
      { name: 'A', price: '' }, { name: 'B', price: '5' },
    ]);
  });
});

describe('prices', () => {
  it('are read in minor units of their currency', () => {
    expect(parsePrice('12,5', 'EUR')).toEqual({ amount: 1_250, currency: 'EUR' });
    expect(parsePrice('1 200', 'JPY')).toEqual({ amount: 1_200, currency: 'JPY' });
    expect(parsePrice('0.005', 'KWD')).toEqual({ amount: 5, currency: 'KWD' });
    expect(parsePrice('0', 'UAH')).toEqual({ amount: 0, currency: 'UAH' });
    for (const [text, currency] of [['1.255', 'EUR'], ['5.5', 'JPY'], ['', 'EUR'], ['-1', 'EUR'], ['5', 'euro']]) {
      expect(parsePrice(text ?? '', currency ?? '')).toBeNull();
    }
  });

  it('are written as they are read', () => {
    expect([[1_250, 'EUR'], [1_200, 'EUR'], [1_200, 'JPY'], [5, 'KWD']].map(([a, c]) => priceText({ amount: Number(a), currency: String(c) }))).toEqual([
      '12.50', '12', '1200', '0.005',
    ]);
  });
});

describe('times', () => {
  it('go through a form unchanged, to the minute', () => {
    expect(fromLocal(toLocal('2027-03-01T18:05:00.000Z'))).toBe('2027-03-01T18:05:00.000Z');
    expect([toLocal(null), toLocal('soon'), fromLocal(''), fromLocal('soon')]).toEqual(['', '', null, null]);
  });
});

describe('labels of seats', () => {
  it('are single ones and ranges', () => {
    expect(readLabels('1-3, 5, A, 2')).toEqual(['1', '2', '3', '5', 'A']);
    for (const bad of ['', ' , ', '9-1', '1-5000']) expect(readLabels(bad)).toBeNull();
  });
});

describe('a file with a layout', () => {
  it('is known by its name', () => {
    expect(layoutFile(new File(['x'], 'Hall.CSV'))).toMatchObject({ type: 'text/csv' });
    expect(layoutFile(new File(['x'], 'hall.json', { type: 'text/plain' }))).toMatchObject({ type: 'application/json' });
    expect(layoutFile(new File(['x'], 'hall.xlsx'))).toBe('kind');
  });
});

describe('a list', () => {
  it('goes on while pages are full, and begins anew', async () => {
    const list = new PagedList(numbered(async (page) => ({ items: page === 1 ? [1, 2] : [3] }), 2));
    await list.restart();
    expect([list.items, list.hasMore]).toEqual([[1, 2], true]);
    await list.more();
    expect([list.items, list.hasMore]).toEqual([[1, 2, 3], false]);
    await list.restart();
    expect(list.items).toEqual([1, 2]);
  });

  it('drops the answer to an earlier question', async () => {
    const answers: ((items: { items: string[]; next: null }) => void)[] = [];
    const list = new PagedList<string, number>(() => new Promise((resolve) => answers.push(resolve)));
    const [first, second] = [list.restart(), list.restart()];
    answers[1]?.({ items: ['new'], next: null });
    answers[0]?.({ items: ['old'], next: null });
    await Promise.all([first, second]);
    expect(list.items).toEqual(['new']);
  });
});
