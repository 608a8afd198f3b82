import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { nameOf } from './files';
import { accessToken, request, setTokens, whenSignedOut } from './http';
import { query } from './query';

const answer = (status: number, body?: unknown): Response =>
  new Response(body === undefined ? null : JSON.stringify(body), { status });

describe('a call', () => {
  const fetched = vi.fn<typeof fetch>();

  beforeEach(() => {
    fetched.mockReset();
    vi.stubGlobal('fetch', fetched);
    setTokens({ accessToken: 'old', refreshToken: 'r' });
  });
  afterEach(() => vi.unstubAllGlobals());

  it('renews a token that has run out, once', async () => {
    fetched
      .mockResolvedValueOnce(answer(401, { code: 'token_expired' }))
      .mockResolvedValueOnce(answer(200, { accessToken: 'new', refreshToken: 's' }))
      .mockResolvedValueOnce(answer(200, { ok: 1 }));
    expect(await request('GET', '/api/x')).toEqual({ ok: 1 });
    expect(fetched.mock.calls.map(([path]) => path)).toEqual(['/api/x', '/api/auth/refresh', '/api/x']);
    expect(accessToken()).toBe('new');
  });

  it('renews a token though the answer is lost, cut off or a fault of the server', async () => {
    const faults = [
      () => Promise.reject(new TypeError('gone')),
      () => Promise.resolve(new Response('{"acc')),
      () => Promise.resolve(answer(502)),
      () => Promise.resolve(answer(503, { code: 'store_unavailable' })),
    ];
    for (const [nth, lost] of faults.entries()) {
      setTokens({ accessToken: 'old', refreshToken: 'r' });
      fetched
        .mockResolvedValueOnce(answer(401, { code: 'token_expired' }))
        .mockImplementationOnce(lost)
        .mockResolvedValueOnce(answer(200, { accessToken: `new${nth}`, refreshToken: 's' }))
        .mockResolvedValueOnce(answer(200, { ok: 1 }));
      expect(await request('GET', '/api/x')).toEqual({ ok: 1 });
      expect(accessToken()).toBe(`new${nth}`);
    }
    const sent = fetched.mock.calls.filter(([path]) => path === '/api/auth/refresh').map(([, init]) => init?.body);
    expect(sent).toEqual(Array(8).fill('{"refreshToken":"r"}'));
  });

  it('asks for a token once more where no answer comes, while that is answered alike', async () => {
    const limits: AbortController[] = [];
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => {
      const limit = new AbortController();
      limits.push(limit);
      return limit.signal;
    });
    try {
      fetched
        .mockResolvedValueOnce(answer(401, { code: 'token_expired' }))
        .mockImplementationOnce(
          (_, init) =>
            new Promise((_, reject) => {
              init?.signal?.addEventListener('abort', () => reject(new DOMException('late', 'TimeoutError')));
              limits[0]?.abort();
            }),
        )
        .mockResolvedValueOnce(answer(200, { accessToken: 'new', refreshToken: 's' }))
        .mockResolvedValueOnce(answer(200, { ok: 1 }));
      expect(await request('GET', '/api/x')).toEqual({ ok: 1 });
      expect(accessToken()).toBe('new');
      expect(limits).toHaveLength(2);
      const longest = timeout.mock.calls.reduce((all, [ms]) => all + ms, 0);
      expect(longest, 'both tries fall into ten seconds').toBeLessThan(10_000);
    } finally {
      timeout.mockRestore();
    }
  });

  it('asks for a token no second time after a refusal', async () => {
    fetched
      .mockResolvedValueOnce(answer(401, { code: 'token_expired' }))
      .mockResolvedValueOnce(answer(429, { code: 'too_many_requests' }));
    await expect(request('GET', '/api/x')).rejects.toMatchObject({ status: 429 });
    expect(fetched).toHaveBeenCalledTimes(2);
  });

  it('is not sent a second time for a wrong password, and nobody is signed out by it', async () => {
    const out = vi.fn();
    whenSignedOut(out);
    fetched.mockResolvedValueOnce(answer(401, { code: 'bad_credentials' }));
    await expect(request('DELETE', '/api/account')).rejects.toMatchObject({ code: 'bad_credentials' });
    expect(fetched).toHaveBeenCalledTimes(1);
    expect(out).not.toHaveBeenCalled();
    expect(accessToken()).toBe('old');
  });

  it('signs nobody out when the renewal fails for a reason that passes', async () => {
    const out = vi.fn();
    whenSignedOut(out);
    for (const passing of [() => Promise.reject(new TypeError('gone')), () => Promise.resolve(answer(503, {}))]) {
      fetched
        .mockResolvedValueOnce(answer(401, { code: 'token_expired' }))
        .mockImplementationOnce(passing)
        .mockImplementationOnce(passing);
      await expect(request('GET', '/api/x')).rejects.toMatchObject({ isTransient: true });
    }
    expect(out).not.toHaveBeenCalled();
    expect(accessToken()).toBe('old');
    fetched.mockResolvedValueOnce(answer(401, { code: 'token_expired' })).mockResolvedValueOnce(answer(401, {}));
    await expect(request('GET', '/api/x')).rejects.toMatchObject({ code: 'token_expired' });
    expect(out).toHaveBeenCalledTimes(1);
  });

  it('whose answer is cut off may be tried again', async () => {
    fetched.mockResolvedValueOnce(new Response('{"items": ['));
    await expect(request('GET', '/api/x')).rejects.toMatchObject({ isTransient: true });
  });

  it('takes an answer without a body', async () => {
    fetched.mockResolvedValueOnce(answer(204)).mockResolvedValueOnce(new Response('', { status: 202 }));
    expect(await request('POST', '/api/x')).toBeUndefined();
    expect(await request('POST', '/api/x')).toBeUndefined();
  });
});

describe('an address', () => {
  it('leaves out what is blank', () => {
    expect(query({ q: 'a b', page: 2, city: '', from: undefined, flag: false })).toBe('?q=a+b&page=2&flag=false');
    expect(query({ city: '' })).toBe('');
  });
});

describe('a file', () => {
  it('is named by the server, and never a path', () => {
    expect(nameOf('attachment; filename="ticket-7K2M.pdf"')).toBe('ticket-7K2M.pdf');
    for (const bad of [null, 'inline', 'attachment; filename="../x"']) expect(nameOf(bad)).toBeNull();
  });
});
