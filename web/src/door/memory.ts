/** Which door this device stands at, kept in this tab: a refresh in the middle of a crowd must not ask again. */

export interface Door {
  eventId: number | null;
  gate: string;
}

const KEY = 'usher.door';

export function readDoor(): Door {
  try {
    return parseDoor(JSON.parse(sessionStorage.getItem(KEY) ?? 'null'));
  } catch {
    return { eventId: null, gate: '' };
  }
}

export function parseDoor(value: unknown): Door {
  const { eventId, gate } = (value ?? {}) as Partial<Record<keyof Door, unknown>>;
  return { eventId: Number.isSafeInteger(eventId) ? (eventId as number) : null, gate: typeof gate === 'string' ? gate : '' };
}

export function writeDoor(door: Door): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(door));
  } catch {
    // Without storage the door is chosen again after a refresh.
  }
}
