// Who answers for a request that comes too often: its device, its address, or the address that a trusted proxy names.
import { describe, expect, it } from 'vitest';
import { enrolled, send, TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';

/** Five times that many at once. */
const PER_SECOND = 1;
const BURST = PER_SECOND * 5;
const GUESSES = 10;

async function serve(more = '', perSecond = PER_SECOND): Promise<Installation> {
  const installation = await install();
  const text = installation.read('broker.yaml');
  installation.write(
    'broker.yaml',
    `${text.replace(/requestsPerSecond: \d+/, `requestsPerSecond: ${perSecond}`)}\n${more}\n`,
  );
  await installation.start();
  return installation;
}

const TRUSTED = 'trustedProxies: [10.0.0.0/8, 127.0.0.1]';

/** The codes of that many unsigned requests, one after the other. */
async function statuses(
  { url }: Installation,
  count: number,
  forwardedFor?: (number: number) => string,
): Promise<number[]> {
  const found: number[] = [];
  for (let number = 0; number < count; number++) {
    const headers = forwardedFor && { 'x-forwarded-for': forwardedFor(number) };
    found.push((await fetch(`${url}/healthz`, { ...(headers && { headers }) })).status);
  }
  return found;
}

const OK = Array.from({ length: 4 * BURST }, () => 200);

describe('without a signature', () => {
  it('one address has its share and no more', async () => {
    const { url } = await serve();
    const replies = await Promise.all(Array.from({ length: 30 }, () => fetch(`${url}/healthz`)));
    const refused = replies.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(10);
    expect(await refused[0]?.json()).toMatchObject({ error: { code: 'rate_limited' } });
    expect(replies.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(BURST);
  });

  it('nobody chooses an address by a header, unless a proxy is trusted', async () => {
    const installation = await serve();
    expect(await statuses(installation, 4 * BURST, (number) => `203.0.113.${number}`)).toContain(429);
  });

  it('a trusted proxy says whose address it is', async () => {
    const installation = await serve(TRUSTED);
    expect(await statuses(installation, 4 * BURST, (number) => `203.0.113.${number}`)).toEqual(OK);
    expect(await statuses(installation, 4 * BURST, () => '203.0.113.200')).toContain(429);
    expect(await statuses(installation, 1, () => '203.0.113.201')).toEqual([200]);
  });

  it('of what reaches a trusted proxy only the last address that is no proxy counts', async () => {
    const installation = await serve(TRUSTED);
    const forged = (number: number) => `198.51.100.${number}, 203.0.113.7, 10.1.2.3`;
    expect(await statuses(installation, 4 * BURST, forged)).toContain(429);
    expect(await statuses(installation, 1, () => '198.51.100.1')).toEqual([200]);
  });

  it.each(['nonsense', '203.0.113.7:', '203.0.113.7%', '"'])(
    'a proxy that passes on %j, which is no address, answers for it itself',
    async (text) => {
      const installation = await serve(TRUSTED);
      expect(await statuses(installation, 4 * BURST, (number) => `${text}${number}`)).toContain(429);
    },
  );
});

describe('a device', () => {
  it('has a share of its own, whoever else is behind the same address', async () => {
    const installation = await serve();
    const [ana, ben] = [await enrolled(installation, 'ana'), await enrolled(installation, 'ben')];
    const codes: (string | undefined)[] = [];
    for (let number = 0; number < 4 * BURST; number++) codes.push((await ana.get('/v1/me')).error?.code);
    expect(codes.slice(0, BURST)).toEqual(Array.from({ length: BURST }, () => undefined));
    expect(codes).toContain('rate_limited');
    expect((await ben.get('/v1/me')).status).toBe(200);
    expect(await statuses(installation, 1)).toEqual([200]);
  });

  it('is not what a bad signature says it is: the address answers for that', async () => {
    const installation = await serve();
    const ana = await enrolled(installation, 'ana');
    const path = '/v1/me';
    const codes: (string | undefined)[] = [];
    for (let number = 0; number < 4 * BURST; number++) {
      const tamper = ({ url }: { url: URL }) => void url.searchParams.set('changed', 'yes');
      codes.push((await ana.get(path, { tamper })).error?.code);
    }
    expect(codes[0]).toBe('unauthenticated');
    expect(codes).toContain('rate_limited');
    expect(await statuses(installation, 1)).toEqual([429]);
  });
});

describe('deliveries', () => {
  it('are their address’s to answer for, and a flood of them takes nothing from anybody else', async () => {
    const installation = await serve(TRUSTED);
    const ana = await enrolled(installation, 'ana');
    const codes: number[] = [];
    for (let number = 0; number < 4 * BURST; number++) {
      const headers = { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.9' };
      const sent = { method: 'POST', headers, body: '{}' };
      codes.push((await fetch(`${installation.url}/v1/webhooks/any`, sent)).status);
    }
    expect(codes[0]).toBe(401);
    expect(codes).toContain(429);
    const asked = await ana.prepare('GET', '/v1/me', undefined);
    asked.headers['x-forwarded-for'] = '203.0.113.10';
    expect((await send(asked)).status).toBe(200);
  });
});

describe('guesses at an invitation’s code', () => {
  async function guesses(installation: Installation, forwardedFor: (number: number) => string) {
    const good = await installation.invite('ben');
    const code = new URL(good).hash.slice(1).split('-')[0]!;
    const guess = async (secret: string, address: string) => {
      const device = new TestDevice(installation.url);
      const { signingKey, sealingKey } = device;
      const body = { secret, deviceName: 'test', signingKey, sealingKey, keystore: 'file' };
      const sent = await device.prepare('POST', '/v1/enroll', body, { tag: 'oncall-enroll' });
      sent.headers['x-forwarded-for'] = address;
      return (await send(sent)).error?.code;
    };
    const codes: (string | undefined)[] = [];
    for (let number = 0; number <= GUESSES; number++)
      codes.push(await guess(String(number).padStart(26, '0'), forwardedFor(number)));
    return { codes, good: (address: string) => guess(code, address) };
  }

  it('are counted by the peer’s address, whatever it says', async () => {
    const { codes, good } = await guesses(await serve('', 1000), (number) => `203.0.113.${number}`);
    expect(codes).toEqual([...Array.from({ length: GUESSES }, () => 'invite_invalid'), 'rate_limited']);
    expect(await good('203.0.113.99')).toBe('rate_limited');
  });

  it('are counted by the address that a trusted proxy names', async () => {
    const { codes, good } = await guesses(await serve(TRUSTED, 1000), () => '203.0.113.7');
    expect(codes.at(-1)).toBe('rate_limited');
    expect(await good('203.0.113.7')).toBe('rate_limited');
    expect(await good('203.0.113.8')).toBeUndefined();
  });
});
