/** The page's socket, and the browser's hints about when to come back. */
import { accessToken, renewToken } from '../api/http';
import { LiveSocket } from './socket';

const scheme = location.protocol === 'https:' ? 'wss' : 'ws';

export const live = new LiveSocket(`${scheme}://${location.host}/ws`, accessToken, renewToken);

window.addEventListener('online', () => live.hurry());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') live.hurry();
});
