/** Turns pointers, the wheel and pinches into pans, zooms and taps. */

export interface GestureHandlers {
  pan: (dx: number, dy: number) => void;
  /** Whether the zoom did anything; a wheel that can't zoom further scrolls the page. */
  zoom: (factor: number, x: number, y: number) => boolean;
  tap: (x: number, y: number, isTouch: boolean) => void;
  hover: (x: number, y: number) => void;
  leave: () => void;
}

const TAP_SLOP_PX = 6;

interface Pointer {
  x: number;
  y: number;
}

export function attachGestures(element: HTMLElement, on: GestureHandlers): () => void {
  const pointers = new Map<number, Pointer>();
  let travelled = 0;
  let wasPinch = false;
  const undo = new AbortController();
  const options = { signal: undo.signal };

  const local = (event: PointerEvent | WheelEvent): Pointer => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  element.addEventListener(
    'pointerdown',
    (event) => {
      if (event.button !== 0) return;
      if (pointers.size === 0) {
        travelled = 0;
        wasPinch = false;
      } else wasPinch = true;
      pointers.set(event.pointerId, local(event));
      element.setPointerCapture(event.pointerId);
    },
    options,
  );

  element.addEventListener(
    'pointermove',
    (event) => {
      const now = local(event);
      const before = pointers.get(event.pointerId);
      if (before === undefined) {
        if (event.pointerType !== 'touch') on.hover(now.x, now.y);
        return;
      }
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, now);
      if (other !== undefined) {
        pinch(before, now, other);
        return;
      }
      travelled += Math.hypot(now.x - before.x, now.y - before.y);
      if (travelled > TAP_SLOP_PX) on.pan(now.x - before.x, now.y - before.y);
    },
    options,
  );

  function pinch(before: Pointer, now: Pointer, other: Pointer): void {
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    const is = Math.hypot(now.x - other.x, now.y - other.y);
    on.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    if (was > 0) on.zoom(is / was, (now.x + other.x) / 2, (now.y + other.y) / 2);
  }

  const end = (event: PointerEvent): void => {
    if (!pointers.delete(event.pointerId)) return;
    const isTap = event.type === 'pointerup' && !wasPinch && travelled <= TAP_SLOP_PX;
    if (!isTap) return;
    const { x, y } = local(event);
    on.tap(x, y, event.pointerType === 'touch');
  };
  element.addEventListener('pointerup', end, options);
  element.addEventListener('pointercancel', end, options);
  element.addEventListener('pointerleave', () => on.leave(), options);

  element.addEventListener(
    'wheel',
    (event) => {
      const { x, y } = local(event);
      // A mouse may count in lines; pinches on a touchpad arrive as small steps with ctrlKey.
      const delta = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 30 : event.deltaY;
      const factor = Math.exp(-delta * (event.ctrlKey ? 0.012 : 0.0022));
      if (on.zoom(factor, x, y)) event.preventDefault();
    },
    { ...options, passive: false },
  );
  return () => undo.abort();
}
