import { describe, expect, test } from 'vitest';
import { atEnd } from '../support/at-end.ts';
import { startMailReceiver } from '../support/mail-receiver.ts';
import { LOGIN, startEmail } from './email-fixture.ts';
import {
  failureOf,
  HOSTILE,
  hostileNotice,
  NEVER,
  openChannel,
  sampleNotice,
  sampleRecipient,
  UNSEEN,
} from './fixture.ts';

function headerOf({ headers }: { headers: [string, string][] }, name: string): string | undefined {
  const values = headers.filter(([each]) => each === name).map(([, value]) => value);
  expect(values.length).toBeLessThan(2);
  return values[0];
}

describe('a mail', () => {
  test('says who, what, why, how long, by which rule, and the command, as plain text', async () => {
    const { receiver, channel } = await startEmail();
    await channel.send(sampleNotice(), NEVER);
    const [mail] = receiver.mails;
    expect(headerOf(mail!, 'subject')).toBe('[oncall] ada asks for db-replica:write');
    expect(headerOf(mail!, 'from')).toBe('"On-call, Inc." <oncall@example.com>');
    expect(headerOf(mail!, 'content-type')).toBe('text/plain; charset=utf-8');
    expect(headerOf(mail!, 'auto-submitted')).toBe('auto-generated');
    expect(mail!.text).toContain('Why:      P1-123: replication lag\n');
    expect(mail!.text).toContain('  oncall approve req_0123456789abcdefghj\n');
  });

  test('goes once to all who have an address, who do not see those of the others', async () => {
    const { receiver, channel } = await startEmail();
    const to = [
      sampleRecipient('bo'),
      sampleRecipient('cy'),
      { ...sampleRecipient('di'), email: undefined },
      sampleRecipient('ed', 'bo@example.com'),
    ];
    await channel.send(sampleNotice({ to }), NEVER);
    expect(receiver.mails).toHaveLength(1);
    const [mail] = receiver.mails;
    expect(mail).toMatchObject({ from: 'oncall@example.com', to: ['bo@example.com', 'cy@example.com'] });
    expect(mail!.raw).not.toMatch(/bo@|cy@/);
    expect(headerOf(mail!, 'to')).toBe('"undisclosed-recipients":;');
  });

  test('to one person names that person', async () => {
    const { receiver, channel } = await startEmail();
    await channel.send(sampleNotice({ to: [sampleRecipient('bo')] }), NEVER);
    expect(headerOf(receiver.mails[0]!, 'to')).toBe('Bo Example <bo@example.com>');
  });

  test('repeated is the same mail to the byte; another notice is another', async () => {
    const { receiver, channel } = await startEmail();
    await channel.send(sampleNotice(), NEVER);
    await channel.send(sampleNotice(), NEVER);
    await channel.send(sampleNotice({ id: 'a b>\r\nc' }), NEVER);
    const [first, second, third] = receiver.mails;
    expect(headerOf(first!, 'message-id')).toBe('<req_0123456789abcdefghj.asked.1@example.com>');
    expect(headerOf(first!, 'date')).toBe('Mon, 05 Jan 2026 02:14:00 +0000');
    expect(second!.raw).toBe(first!.raw);
    expect(headerOf(third!, 'message-id')).toMatch(/^<[0-9a-f]{64}@example\.com>$/);
  });

  test('with hostile names has the headers of any other, and a body of as many lines', async () => {
    const { receiver, channel } = await startEmail();
    await channel.send(sampleNotice({ to: [sampleRecipient('bo')] }), NEVER);
    await channel.send(hostileNotice(), NEVER);
    const [plain, hostile] = receiver.mails;
    const namesOf = ({ headers }: { headers: [string, string][] }) => headers.map(([name]) => name);
    expect(namesOf(hostile!)).toEqual(namesOf(plain!));
    expect(hostile!.to).toEqual(['bo@example.com']);
    expect(hostile!.text.split('\n')).toHaveLength(plain!.text.split('\n').length);
    expect(hostile!.text.replaceAll('\n', '')).not.toMatch(UNSEEN);
    expect(hostile!.raw.length).toBeLessThan(10_000);
    expect(hostile!.raw.split('\r\n').every((line) => line.length <= 998)).toBe(true);
  });
});

describe('whom e-mail reaches', () => {
  test.each([
    undefined,
    '',
    'bo',
    'bo@',
    'bo@example.com\r\nRCPT TO:<eve@evil.example>',
    'bo@example.com, eve@evil.example',
    'Bo <bo@example.com>',
    '"bo eve"@example.com',
    'bo@exam ple.com',
    HOSTILE,
  ])('not an address like %j, and nobody else in its place', async (email) => {
    const { receiver, channel } = await startEmail();
    const recipient = { ...sampleRecipient('bo'), email };
    expect(channel.canReach(recipient)).toBe(false);
    const error = await failureOf(channel.send(sampleNotice({ to: [recipient] }), NEVER));
    expect(error.details).toEqual({ permanent: true });
    expect(receiver.connections()).toBe(0);
  });

  test('everybody with an address', async () => {
    const { channel } = await startEmail();
    for (const email of ['bo@example.com', "o'neil+oncall@mail.example.co.uk", 'bo@localhost'])
      expect(channel.canReach(sampleRecipient('bo', email))).toBe(true);
  });
});

describe('the settings of e-mail', () => {
  const settings = { kind: 'email', host: 'localhost', port: 25, tls: false, user: undefined } as const;

  test.each(['', 'oncall', 'oncall@', 'a@example.com, b@example.com', 'x <y> <z@example.com>'])(
    'with %j as the sender are refused',
    async (from) => {
      const opened = openChannel({ ...settings, password: undefined, from });
      expect(await failureOf(opened)).toMatchObject({ code: 'config_invalid' });
    },
  );

  test('make a channel that logs in with the secret they name', async () => {
    const receiver = await startMailReceiver({ login: LOGIN });
    atEnd(receiver.close);
    const channel = await openChannel({
      ...settings,
      host: '127.0.0.1',
      port: receiver.port,
      user: LOGIN.user,
      password: { env: LOGIN.password },
      from: 'oncall@example.com',
    });
    await channel.send(sampleNotice(), NEVER);
    expect(receiver.mails).toMatchObject([{ user: 'oncall' }]);
  });
});
