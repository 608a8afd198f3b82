/**
 * A purchase through the pages of a running Usher whose provider is the sandbox: book, check out, be declined, try again,
 * pay, see the ticket, give one back. Prints each step; ends with 1 at the first that fails.
 *
 *   USHER_URL=http://127.0.0.1:8000 CHROMIUM=/usr/bin/chromium npm run e2e:purchase
 */
import { findEvent, LINE_MS, newPerson, SEATS, step, travel, url } from './lib.mjs';

const PAID_MS = 60_000;

async function purchase(page) {
  const event = await step('an event is on sale', findEvent);
  const person = await step('an account is made', newPerson);

  await step('signing in leads to the event', async () => {
    await page.goto(new URL(`/login?next=${encodeURIComponent(`/concerts/${event.id}`)}`, url).href);
    await page.getByLabel('E-mail or login name').fill(person.email);
    await page.getByLabel('Password', { exact: true }).fill(person.password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.waitForURL(`**/concerts/${event.id}`);
  });

  await step('the line gives seats, and the cart opens', async () => {
    await page.getByRole('form', { name: 'Best available' }).getByRole('button', { name: 'Book' }).click();
    await page.waitForURL('**/cart', { timeout: LINE_MS });
  });

  await step('checking out leads to the payment page, and a decline back', async () => {
    await page.getByRole('button', { name: 'Check out' }).click();
    await page.getByRole('button', { name: /^Decline/ }).click();
    await page.waitForURL('**/checkout/**');
    await page.getByText('The payment was declined').waitFor({ timeout: PAID_MS });
    await page.getByRole('timer').filter({ hasText: 'left to pay' }).waitFor();
  });

  await step('walking away keeps the seats', async () => {
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('button', { name: /^Walk away/ }).click();
    await page.getByText('The payment was not finished').waitFor();
  });

  await step('paying by card is confirmed', async () => {
    await page.getByRole('button', { name: 'Pay', exact: true }).click();
    await page.getByRole('button', { name: /^Pay by card/ }).click();
    await page.getByText('Paid. Enjoy the show!').waitFor({ timeout: PAID_MS });
    await page.getByText('Your tickets are here').waitFor({ timeout: PAID_MS });
  });

  const order = new URL(page.url()).searchParams.get('order');

  await step('the ticket has its code, and can be saved', async () => {
    await page.getByRole('link', { name: 'To the tickets' }).click();
    await page.getByRole('link', { name: event.name }).first().click();
    await page.getByRole('img', { name: /code/ }).waitFor();
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'PDF to print' }).click();
    await saved;
  });

  await step(`one of ${SEATS} tickets is given back`, async () => {
    await page.goto(new URL(`/orders/${order}`, url).href);
    await page.getByRole('button', { name: 'Give tickets back' }).click();
    await page.getByRole('checkbox').first().uncheck();
    await page.getByRole('button', { name: /^Give back 1 seat/ }).click();
    await page.getByText('Given back in part').waitFor({ timeout: PAID_MS });
  });
}

await travel(purchase);
