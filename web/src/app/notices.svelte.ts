/** Short notices in the corner of the page, which screen readers hear too. */

export type Tone = 'info' | 'good' | 'bad';

export interface Notice {
  id: number;
  tone: Tone;
  text: string;
  link?: { href: string; text: string };
}

const SHOWN_MS = 7_000;

let list = $state.raw<Notice[]>([]);
let lastId = 0;

export function notices(): Notice[] {
  return list;
}

export function notify(tone: Tone, text: string, link?: { href: string; text: string }): void {
  const notice: Notice = { id: ++lastId, tone, text, ...(link ? { link } : {}) };
  list = [...list.slice(-3), notice];
  setTimeout(() => dismissNotice(notice.id), link ? SHOWN_MS * 2 : SHOWN_MS);
}

export function dismissNotice(id: number): void {
  list = list.filter((n) => n.id !== id);
}
