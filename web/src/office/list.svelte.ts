/** A list that is read page by page, and again from its beginning when what is asked for changes. */

export interface Batch<T, C> {
  items: T[];
  /** Where the next page begins; null on the last one. */
  next: C | null;
}

export class PagedList<T, C> {
  items = $state.raw<T[]>([]);
  failure = $state.raw<unknown>(null);
  isLoading = $state(true);
  private next = $state.raw<C | null>(null);
  private question = 0;

  constructor(private readonly read: (from: C | null) => Promise<Batch<T, C>>) {}

  get hasMore(): boolean {
    return this.next !== null;
  }

  /** Asks anew; an answer to an earlier question comes too late and is dropped. */
  restart(): Promise<void> {
    return this.load(null);
  }

  more(): Promise<void> {
    return this.load(this.next);
  }

  private async load(from: C | null): Promise<void> {
    const asked = ++this.question;
    this.isLoading = true;
    this.failure = null;
    try {
      const batch = await this.read(from);
      if (asked !== this.question) return;
      this.items = from === null ? batch.items : [...this.items, ...batch.items];
      this.next = batch.next;
    } catch (error) {
      if (asked !== this.question) return;
      this.failure = error;
    }
    this.isLoading = false;
  }
}

/** Pages by number: a full one is followed by another, for all that is known. */
export function numbered<T>(
  read: (page: number, pageSize: number) => Promise<{ items: T[] }>,
  pageSize: number,
): (from: number | null) => Promise<Batch<T, number>> {
  return async (from) => {
    const page = from ?? 1;
    const { items } = await read(page, pageSize);
    return { items, next: items.length < pageSize ? null : page + 1 };
  };
}
