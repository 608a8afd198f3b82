/** Idempotency keys: one for each thing that the shopper wants, kept until an answer has come. */

export class IntentKeys {
  private readonly keys = new Map<string, string>();

  constructor(private readonly makeKey: () => string = randomKey) {}

  keyOf(intent: string): string {
    const known = this.keys.get(intent);
    if (known !== undefined) return known;
    const key = this.makeKey();
    this.keys.set(intent, key);
    return key;
  }

  settle(intent: string): void {
    this.keys.delete(intent);
  }
}

/** `randomUUID` exists in secure contexts only, and a shop in a local network may be served over plain HTTP. */
function randomKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
