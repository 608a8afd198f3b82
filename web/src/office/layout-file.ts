/** A file with a layout: its kind is told by its name, as browsers name CSV in many ways. */
import type { LayoutFile } from '../api/office';

export const MAX_LAYOUT_BYTES = 32 * 1024 * 1024;

export type FileFlaw = 'kind' | 'large';

export function layoutFile(file: File): LayoutFile | FileFlaw {
  if (file.size > MAX_LAYOUT_BYTES) return 'large';
  if (/\.json$/i.test(file.name)) return { type: 'application/json', data: file };
  return /\.csv$/i.test(file.name) ? { type: 'text/csv', data: file } : 'kind';
}
