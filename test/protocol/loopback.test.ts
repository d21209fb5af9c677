import { describe, expect, test } from 'vitest';
import { isLoopback } from '../../src/protocol/loopback.ts';

describe('this machine by definition', () => {
  test.each(['localhost', '127.0.0.1', '127.255.0.9', '::1', '[::1]'])('%s is', (host) => {
    expect(isLoopback(host)).toBe(true);
  });

  test.each([
    '127.evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'mylocalhost',
    '10.0.0.1',
    '0.0.0.0',
    '::',
    '[::1',
    '',
    '127.0.0.1\n',
  ])('%j is not', (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});
