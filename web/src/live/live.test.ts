import { describe, expect, it } from 'vitest';
import { backoffMs, jittered, nextPollMs, pollIntervalMs, SOCKET_BACKOFF } from './backoff';
import { parseMessage } from './messages';

const least = (): number => 0;
const most = (): number => 0.999999;

describe('backoff', () => {
  it('doubles up to its cap', () => {
    const waits = [0, 1, 2, 3, 20].map((attempt) => backoffMs(attempt, SOCKET_BACKOFF, most));
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 30_000]);
  });

  it('spreads a crowd over the upper half', () => {
    expect(backoffMs(3, SOCKET_BACKOFF, least)).toBe(2_000);
    expect(backoffMs(1_000, SOCKET_BACKOFF, least)).toBe(15_000);
  });
});

describe('polling', () => {
  it('is more frequent the nearer the head is', () => {
    const waits = [1, 100, 1_000, 50_000].map(pollIntervalMs);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(pollIntervalMs(null)).toBe(pollIntervalMs(1));
  });

  it('jitters by 30 % either way', () => {
    expect(jittered(1_000, least)).toBe(700);
    expect(jittered(1_000, most)).toBe(1_300);
  });

  it('never undercuts what the server asks for', () => {
    expect(nextPollMs(1, 0, 20, least)).toBeGreaterThanOrEqual(20_000);
    expect(nextPollMs(1, 6, null, least)).toBeGreaterThanOrEqual(15_000);
  });
});

describe('messages', () => {
  it('of known types pass', () => {
    expect(parseMessage('{"type":"pong"}')).toEqual({ type: 'pong' });
    expect(parseMessage('{"type":"processing","jobId":"a"}')).toEqual({ type: 'processing', jobId: 'a' });
  });

  it('that are not understood are dropped', () => {
    for (const text of ['', 'null', '[]', '{"type":"news"}', '{"type":"place"}', '{"type":5}', '{']) {
      expect(parseMessage(text)).toBeNull();
    }
  });
});
