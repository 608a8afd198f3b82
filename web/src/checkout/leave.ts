/** The way to the provider's page. */

/** A web address, whatever stands before it; anything else (a script, say) is not gone to. */
export function paymentPage(url: string, from: string): string | null {
  try {
    const { protocol, href } = new URL(url, from);
    return protocol === 'https:' || protocol === 'http:' ? href : null;
  } catch {
    return null;
  }
}

export function leaveFor(url: string): void {
  const page = paymentPage(url, location.href);
  if (page !== null) location.assign(page);
}
