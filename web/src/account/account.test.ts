import { describe, expect, it } from 'vitest';
import { Problem } from '../api/problem';
import { digitsOf, flawOf, isWhole, refused, sent } from './code';

describe('a code', () => {
  it('is read out of whatever was typed or pasted', () => {
    expect(digitsOf(' 123 456 ')).toBe('123456');
    expect(digitsOf('Your code: 12-34-56.')).toBe('123456');
    expect(digitsOf('1234567')).toBe('123456');
    expect([isWhole('12345'), isWhole('123456')]).toEqual([false, true]);
  });

  const step = sent({ changeId: 'c1', channel: 'sms', expiresAt: '' }, '+380501234567');

  it('can be typed again after a slip', () => {
    expect(refused(step, new Problem(422, 'bad_code', ''))).toEqual({ ...step, isWrong: true });
  });

  it('makes room for another one when it is used up or too old', () => {
    expect(refused(step, new Problem(410, 'code_expired', ''))).toEqual({ step: 'stale', value: '+380501234567' });
  });

  it('is not to blame for anything else', () => {
    for (const error of [new Problem(0, 'offline', ''), new Problem(409, 'already_registered', ''), new Error('x')]) {
      expect(refused(step, error)).toBe(step);
    }
    expect(refused({ step: 'idle' }, new Problem(422, 'bad_code', ''))).toEqual({ step: 'idle' });
  });
});

describe('a new value', () => {
  it('is looked at before a code is sent', () => {
    expect([flawOf('email', ''), flawOf('email', 'a@b'), flawOf('email', 'a@b.c')]).toEqual(['required', 'email', null]);
    expect([flawOf('phone', '+38 (050) 123-45-67'), flawOf('phone', '12+34567'), flawOf('phone', '1234')]).toEqual([
      null, 'phone', 'phone',
    ]);
    expect([flawOf('login', 'ada'), flawOf('login', 'a@b'), flawOf('login', 'a:b')]).toEqual([null, 'login', 'login']);
  });
});
