/** What the ways through the pages share: steps that tell how they went, an event to buy from, and a browser. */
import { randomUUID } from 'node:crypto';
import { chromium } from 'playwright-core';

export const url = process.env.USHER_URL ?? 'http://127.0.0.1:8000';
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const STEP_MS = 15_000;
export const LINE_MS = 60_000;
export const SEATS = 2;

const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export function check(isSo, what) {
  if (!isSo) throw new Error(what);
}

export async function step(name, act) {
  const start = performance.now();
  try {
    const result = await act();
    console.log(`ok    ${name} (${Math.round(performance.now() - start)} ms)`);
    return result;
  } catch (error) {
    console.log(`FAIL  ${name}`);
    throw error;
  }
}

export async function call(path, body) {
  const init = body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(new URL(path, url), init || {});
  const text = await response.text();
  check(response.ok, `${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** An event with numbered seats and enough of them, whose line moves. */
export async function findEvent() {
  const { items } = await call('/api/events?pageSize=100');
  for (const { id, status, queuePaused, availableSeats } of items) {
    if (status !== 'on_sale' || queuePaused || availableSeats < SEATS) continue;
    const event = await call(`/api/events/${id}`);
    if (event.sections.length > 0 && event.seatLimit >= SEATS) return event;
  }
  throw new Error(`no event at ${url} is on sale, unpaused, and has ${SEATS} free seats`);
}

/** Somebody who has just made an account. */
export async function newPerson() {
  const person = { email: `journey-${randomUUID()}@usher.test`, password: randomUUID() };
  await call('/api/auth/register', { ...person, firstName: 'June', lastName: 'Journey', consent: true });
  return person;
}

/** Goes `way` in a browser of its own; the process ends with 1 when it fails, or when a page threw. */
export async function travel(way) {
  const browser = await chromium.launch({ executablePath, args });
  try {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1_280, height: 900 } });
    const page = await context.newPage();
    page.setDefaultTimeout(STEP_MS);
    const broken = [];
    page.on('pageerror', (error) => broken.push(error.message));
    await way(page);
    check(broken.length === 0, `the page threw: ${broken.join('; ')}`);
    console.log(`the journey at ${url} is complete`);
  } catch (error) {
    console.error(error instanceof Error ? [error.message, error.cause ?? ''].join(' ') : error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}
