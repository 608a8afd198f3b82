import { describe, expect, it } from 'vitest';
import { parseProblem } from './problem';

describe('a problem', () => {
  it('keeps its code, detail and request', () => {
    const problem = parseProblem(409, { code: 'seat_taken', detail: 'Gone', requestId: 'r1' }, null);
    expect(problem).toMatchObject({ status: 409, code: 'seat_taken', detail: 'Gone', requestId: 'r1' });
    expect(problem.isTransient).toBe(false);
  });

  it('reads Retry-After', () => {
    expect(parseProblem(503, { code: 'queue_full' }, '7')).toMatchObject({ retryAfterSeconds: 7, isTransient: true });
    expect(parseProblem(429, {}, 'soon').retryAfterSeconds).toBeNull();
  });

  it('is made of anything that refuses', () => {
    expect(parseProblem(502, null, null).code).toBe('store_unavailable');
    expect(parseProblem(404, 'nope', null).code).toBe('not_found');
    expect(parseProblem(400, { code: 'brand_new', title: 'Odd' }, null)).toMatchObject({ code: 'bad_request', detail: 'Odd' });
  });
});
