/**
 * One shopper's way through the pages of a running Usher: sign in, book the best available seats, see the cart count
 * down, take the seats out again. Prints each step; ends with 1 at the first that fails.
 *
 *   USHER_URL=http://127.0.0.1:8000 CHROMIUM=/usr/bin/chromium npm run e2e
 */
import { randomUUID } from 'node:crypto';
import { chromium } from 'playwright-core';

const url = process.env.USHER_URL ?? 'http://127.0.0.1:8000';
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const STEP_MS = 15_000;
const LINE_MS = 60_000;
const SEATS = 2;

const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

function check(isSo, what) {
  if (!isSo) throw new Error(what);
}

async function step(name, act) {
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

async function call(path, body) {
  const init = body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(new URL(path, url), init || {});
  const text = await response.text();
  check(response.ok, `${path} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** An event with numbered seats and enough of them, whose line moves. */
async function findEvent() {
  const { items } = await call('/api/events?pageSize=100');
  for (const { id, status, queuePaused, availableSeats } of items) {
    if (status !== 'on_sale' || queuePaused || availableSeats < SEATS) continue;
    const event = await call(`/api/events/${id}`);
    if (event.sections.length > 0 && event.seatLimit >= SEATS) return event;
  }
  throw new Error(`no event at ${url} is on sale, unpaused, and has ${SEATS} free seats`);
}

/** Seconds on the first countdown of the cart. */
async function countdown(page) {
  const text = await page.getByRole('timer').first().innerText();
  const found = /^(?:(\d+):)?(\d+):(\d\d) left$/.exec(text);
  check(found !== null, `the countdown reads "${text}"`);
  const [hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0));
  return hours * 3_600 + minutes * 60 + seconds;
}

async function journey(page) {
  const event = await step('an event is on sale', findEvent);
  const person = { email: `journey-${randomUUID()}@usher.test`, password: randomUUID() };
  await step('an account is made', () =>
    call('/api/auth/register', { ...person, firstName: 'June', lastName: 'Journey', consent: true }),
  );

  await step('the concerts lead to the event', async () => {
    await page.goto(new URL('/concerts', url).href);
    await page.getByRole('link', { name: event.name }).click();
    await page.getByRole('heading', { level: 1, name: event.name }).waitFor();
  });

  await step('a wrong password is refused', async () => {
    await page.getByRole('link', { name: 'Sign in', exact: true }).click();
    await page.getByLabel('E-mail or login name').fill(person.email);
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'E-mail or password is not right.' }).waitFor();
  });

  await step('signing in leads back to the event', async () => {
    await page.getByLabel('Password', { exact: true }).fill(person.password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.waitForURL(`**/concerts/${event.id}`);
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
  });

  await step('the best available seats are asked for', async () => {
    const form = page.getByRole('form', { name: 'Best available' });
    await form.getByRole('group', { name: 'How many' }).getByText(String(SEATS), { exact: true }).waitFor();
    await form.getByRole('button', { name: 'Book' }).click();
    await page.getByRole('region', { name: 'Your place in line' }).waitFor();
  });

  await step('the line gives them, and the cart opens', async () => {
    await page.getByRole('heading', { name: 'They are yours' }).waitFor({ timeout: LINE_MS });
    await page.waitForURL('**/cart');
    await page.getByRole('heading', { level: 2, name: event.name }).waitFor();
    const count = await page.getByRole('timer').count();
    check(count === SEATS, `the cart shows ${count} seats instead of ${SEATS}`);
  });

  await step('the cart counts down, also after a reload', async () => {
    const before = await countdown(page);
    check(before > 0 && before <= event.holdSeconds, `${before} s are left of ${event.holdSeconds}`);
    await page.reload();
    await page.getByRole('timer').first().waitFor();
    await page.waitForTimeout(1_500);
    const after = await countdown(page);
    check(after < before && after > before - 20, `the countdown went from ${before} to ${after}`);
  });

  for (let left = SEATS - 1; left >= 0; left--) {
    await step(`a seat is removed, ${left} left`, async () => {
      await page.getByRole('button', { name: /^Remove / }).first().click();
      if (left === 0) await page.getByRole('heading', { name: 'Your cart is empty' }).waitFor();
      else await page.waitForFunction((n) => document.querySelectorAll('[role=timer]').length === n, left);
    });
  }
}

const browser = await chromium.launch({ executablePath, args });
try {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1_280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS);
  const broken = [];
  page.on('pageerror', (error) => broken.push(error.message));
  await journey(page);
  check(broken.length === 0, `the page threw: ${broken.join('; ')}`);
  console.log(`the journey at ${url} is complete`);
} catch (error) {
  console.error(error instanceof Error ? [error.message, error.cause ?? ''].join(' ') : error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
