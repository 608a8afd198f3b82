/** One thing done at a time, with what came of it. */
import { explain } from '../app/explain';
import { notify } from '../app/notices.svelte';

export class Act {
  isBusy = $state(false);
  failure = $state.raw<unknown>(null);

  /** True when it was done; otherwise `failure` tells why not. */
  async run(change: () => Promise<unknown>, done?: string): Promise<boolean> {
    if (this.isBusy) return false;
    this.isBusy = true;
    this.failure = null;
    try {
      await change();
      if (done !== undefined) notify('good', done);
      return true;
    } catch (error) {
      this.failure = error;
      return false;
    } finally {
      this.isBusy = false;
    }
  }

  get text(): string | null {
    return this.failure === null ? null : explain(this.failure);
  }
}
