/** Documents that only their owner may read: fetched as the person who is signed in, then handed to the browser. */
import { send } from './http';

export interface Fetched {
  blob: Blob;
  name: string;
}

export async function fetchFile(path: string, fallbackName: string): Promise<Fetched> {
  const response = await send('GET', path, { headers: { Accept: '*/*' } });
  return { blob: await response.blob(), name: nameOf(response.headers.get('Content-Disposition')) ?? fallbackName };
}

/** The file's name, as the server says; never a path. */
export function nameOf(disposition: string | null): string | null {
  const name = /filename="([^"\\/]+)"/.exec(disposition ?? '')?.[1];
  return name === undefined || name === '' ? null : name;
}

/** Lets the browser save it, as after a click on a link. */
export function save({ blob, name }: Fetched): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // Some browsers read the blob only after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
