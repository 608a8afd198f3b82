/** What a language must hold, derived from the English texts; placeholders are checked by type at every use. */
import type { en } from './en';

type Source = typeof en;
export type TextKey = keyof Source;
export type Texts = Record<TextKey, string>;

type Names<S extends string> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;

/** The arguments after the key: none for a plain text, an object with every placeholder otherwise. */
export type TextArgs<K extends TextKey> = [Names<Source[K]>] extends [never]
  ? []
  : [values: Record<Names<Source[K]>, string | number>];

export function fill(text: string, values: Record<string, string | number> | undefined): string {
  if (values === undefined) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
