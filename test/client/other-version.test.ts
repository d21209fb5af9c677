import { describe, expect, test } from 'vitest';
import { gapTo } from '../../src/client/other-version.ts';
import { compareVersions } from '../../src/protocol/version.ts';

describe('versions', () => {
  test.each([
    ['1.2.3', '1.2.4', -1],
    ['1.10.0', '1.9.9', 1],
    ['2.0.0', '1.99.99', 1],
    ['1.2.3', '1.2.3', 0],
    ['1.2.3-rc.1', '1.2.3', 0],
    // What has no version, and what is none, cannot be compared.
    ['0.0.0-source', '1.0.0', undefined],
    ['1.0', '1.0.0', undefined],
    ['1.0.0\u001b[2J', '1.0.0', undefined],
    ['1.0.0 && rm -rf /', '1.0.0', undefined],
    ['99999999999.0.0', '1.0.0', undefined],
  ])('%s beside %s', (one, other, sign) => {
    const difference = compareVersions(one, other);
    expect(difference === undefined ? undefined : Math.sign(difference)).toBe(sign);
  });

  test('the older side is the one to update, to what the other has', () => {
    expect(gapTo('1.1.0', '1.0.0')).toMatchObject({
      older: 'client',
      fix: expect.stringContaining('oncall@1.1.0'),
    });
    expect(gapTo('1.1.0', '1.2.0')).toMatchObject({
      older: 'broker',
      fix: expect.stringContaining('oncall@1.2.0'),
    });
    expect(gapTo('1.1.0', '1.1.0')).toBeUndefined();
    expect(gapTo(undefined, '1.1.0')).toBeUndefined();
  });
});
