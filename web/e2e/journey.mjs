/**
 * One shopper's way through the pages of a running Usher: sign in, book the best available seats, see the cart count
 * down, take the seats out again. Prints each step; ends with 1 at the first that fails.
 *
 *   USHER_URL=http://127.0.0.1:8000 CHROMIUM=/usr/bin/chromium npm run e2e
 */
import { check, findEvent, LINE_MS, newPerson, SEATS, step, travel, url } from './lib.mjs';

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
  const person = await step('an account is made', newPerson);

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

await travel(journey);
