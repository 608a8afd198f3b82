/** Colours of the canvas, read from the page's custom properties so that light and dark come from one place. */
import type { SeatState } from './availability';

export interface Palette {
  states: Record<SeatState, string>;
  chosen: string;
  chosenText: string;
  seatText: string;
  label: string;
  labelBack: string;
  floor: string;
  cursor: string;
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    states: {
      0: read('--seat-available'),
      1: read('--seat-reserved'),
      2: read('--seat-sold'),
      3: read('--seat-queued'),
    },
    chosen: read('--seat-chosen'),
    chosenText: read('--seat-chosen-text'),
    seatText: read('--seat-text'),
    label: read('--text'),
    labelBack: read('--surface'),
    floor: read('--map-floor'),
    cursor: read('--focus'),
  };
}
