import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeServerCertificate, type ServerCertificate } from '../support/server-certificate.ts';
import { waitFor } from '../support/temp.ts';
import { LOGIN, startEmail } from './email-fixture.ts';
import { failureOf, NEVER, sampleNotice, sampleRecipient } from './fixture.ts';

/** Reaches loopback, but no rule calls it that. */
const ELSEWHERE = '0.0.0.0';

afterEach(() => {
  vi.useRealTimers();
});

describe('the way to the relay', () => {
  let here: ServerCertificate;
  let elsewhere: ServerCertificate;
  beforeAll(async () => {
    here = await makeServerCertificate();
    elsewhere = await makeServerCertificate(ELSEWHERE);
  });

  test('is TLS from the first byte where the settings say so', async () => {
    const tls = { ...here, fromTheFirstByte: true };
    const { receiver, channel } = await startEmail({
      tls,
      settings: { tls: true },
      secrets: { ca: here.ca },
    });
    await channel.send(sampleNotice(), NEVER);
    expect(receiver.mails).toMatchObject([{ secure: true }]);
  });

  test('from the first byte is verified on loopback too', async () => {
    const tls = { ...here, fromTheFirstByte: true };
    const { receiver, channel } = await startEmail({ tls, settings: { tls: true } });
    expect((await failureOf(channel.send(sampleNotice(), NEVER))).details).toEqual({ permanent: false });
    expect(receiver.mails).toEqual([]);
  });

  test('is STARTTLS with a verified certificate to another host, and the login goes inside it', async () => {
    const settings = { host: ELSEWHERE };
    const { receiver, channel } = await startEmail({
      tls: elsewhere,
      login: LOGIN,
      settings,
      secrets: { ca: elsewhere.ca },
    });
    await channel.send(sampleNotice(), NEVER);
    expect(receiver.mails).toMatchObject([{ secure: true, user: 'oncall' }]);
  });

  test('to another host without STARTTLS carries neither mail nor login', async () => {
    const { receiver, channel } = await startEmail({ login: LOGIN, settings: { host: ELSEWHERE } });
    const error = await failureOf(channel.send(sampleNotice(), NEVER), LOGIN.password);
    expect(error).toMatchObject({ code: 'notice_failed', details: { permanent: false } });
    expect(receiver).toMatchObject({ mails: [], logins: [] });
  });

  test.each(['an unknown authority', 'another name'])(
    'to another host with a certificate of %s carries nothing',
    async (what) => {
      const [tls, ca] = what === 'another name' ? [here, here.ca] : [elsewhere, here.ca];
      const { receiver, channel } = await startEmail({
        tls,
        login: LOGIN,
        settings: { host: ELSEWHERE },
        secrets: { ca },
      });
      const error = await failureOf(channel.send(sampleNotice(), NEVER), LOGIN.password);
      expect(error.details).toMatchObject({ permanent: false });
      expect(receiver).toMatchObject({ mails: [], logins: [] });
    },
  );

  test('on loopback may do without TLS, and takes STARTTLS of any certificate where it is offered', async () => {
    const plain = await startEmail({ login: LOGIN });
    await plain.channel.send(sampleNotice(), NEVER);
    expect(plain.receiver.mails).toMatchObject([{ secure: false, user: 'oncall' }]);
    const offered = await startEmail({ tls: elsewhere, login: LOGIN });
    await offered.channel.send(sampleNotice(), NEVER);
    expect(offered.receiver.mails).toMatchObject([{ secure: true, user: 'oncall' }]);
  });
});

describe('a relay that does not take a mail', () => {
  test('for a wrong login fails for good, and the password is not told', async () => {
    const password = 'wr0ng-password';
    const { receiver, channel } = await startEmail({ login: LOGIN, secrets: { password } });
    const encoded = Buffer.from(`\0oncall\0${password}`).toString('base64');
    const error = await failureOf(channel.send(sampleNotice(), NEVER), password, encoded);
    expect(error).toMatchObject({ code: 'notice_failed', details: { permanent: true, status: 535 } });
    expect(receiver.mails).toEqual([]);
  });

  test.each([
    [550, true],
    [450, false],
  ])(
    'because it refuses one of two recipients with %i names that one, for good: %s',
    async (code, permanent) => {
      const fault = { at: 'recipient', address: 'cy@example.com', code } as const;
      const { receiver, channel } = await startEmail({ fault });
      const error = await failureOf(channel.send(sampleNotice(), NEVER));
      expect(error.details).toEqual({ permanent, refused: ['cy'] });
      expect(receiver.mails).toMatchObject([{ to: ['bo@example.com'] }]);
    },
  );

  test('because it refuses the only recipient names that one', async () => {
    const fault = { at: 'recipient', address: 'bo@example.com', code: 550 } as const;
    const { channel } = await startEmail({ fault });
    const error = await failureOf(channel.send(sampleNotice({ to: [sampleRecipient('bo')] }), NEVER));
    expect(error.details).toEqual({ permanent: true, refused: ['bo'] });
  });

  test.each([
    [554, true],
    [451, false],
  ])('with %i after the text fails, for good: %s', async (code, permanent) => {
    const { channel } = await startEmail({ fault: { at: 'data', code } });
    expect((await failureOf(channel.send(sampleNotice(), NEVER))).details).toEqual({
      permanent,
      status: code,
    });
  });

  test('because it hangs up in the middle of the text fails for now', async () => {
    const { receiver, channel } = await startEmail({ fault: { at: 'data', does: 'break' } });
    expect((await failureOf(channel.send(sampleNotice(), NEVER))).details).toEqual({ permanent: false });
    expect(receiver.mails).toEqual([]);
  });

  test('because nobody listens fails for now', async () => {
    const { receiver, channel } = await startEmail();
    await receiver.close();
    expect((await failureOf(channel.send(sampleNotice(), NEVER))).details).toEqual({ permanent: false });
  });

  test.each(['greeting', 'data'] as const)('because it stalls at the %s is cut by the signal', async (at) => {
    const { receiver, channel } = await startEmail({ fault: { at, does: 'stall' } });
    const stop = new AbortController();
    const failure = failureOf(channel.send(sampleNotice(), stop.signal));
    await waitFor(() => receiver.stalled(), { what: 'the relay to stall' });
    stop.abort();
    expect((await failure).details).toEqual({ permanent: false });
  });

  test('because it stalls is cut when the channel is closed', async () => {
    const { receiver, channel } = await startEmail({ fault: { at: 'data', does: 'stall' } });
    const failure = failureOf(channel.send(sampleNotice(), NEVER));
    await waitFor(() => receiver.stalled(), { what: 'the relay to stall' });
    await channel.close();
    expect((await failure).details).toEqual({ permanent: false });
  });

  test('because it stalls has half a minute', async () => {
    const { receiver, channel } = await startEmail({ fault: { at: 'data', does: 'stall' } });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let failed = false;
    const failure = failureOf(channel.send(sampleNotice(), NEVER)).finally(() => {
      failed = true;
    });
    await vi.waitUntil(() => receiver.stalled(), { timeout: 10_000 });
    await vi.advanceTimersByTimeAsync(29_000);
    expect(failed).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await failure).details).toEqual({ permanent: false });
  });
});
