/** Reads QR codes with the device's camera, in browsers that can (`BarcodeDetector`). */

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
type DetectorClass = new (options: { formats: string[] }) => Detector;

const LOOK_EVERY_MS = 200;

function detectorClass(): DetectorClass | null {
  const found = (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;
  return found ?? null;
}

/** A camera is given to secure pages only. */
export function hasCamera(): boolean {
  return detectorClass() !== null && navigator.mediaDevices !== undefined;
}

/** Shows the camera in `video` and tells every code it sees, until the returned function is called. */
export async function watch(video: HTMLVideoElement, onCode: (code: string) => void): Promise<() => void> {
  const Found = detectorClass();
  if (Found === null) throw new Error('this browser reads no codes');
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  const detector = new Found({ formats: ['qr_code'] });
  let isStopped = false;
  video.srcObject = stream;
  await video.play().catch(() => undefined);
  const look = async (): Promise<void> => {
    // A frame that can't be read is no news; the next one comes at once.
    const codes = await detector.detect(video).catch(() => []);
    if (isStopped) return;
    for (const { rawValue } of codes) onCode(rawValue);
    setTimeout(() => void look(), LOOK_EVERY_MS);
  };
  void look();
  return () => {
    isStopped = true;
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  };
}
