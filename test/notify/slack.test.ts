import { describe, expect, test } from 'vitest';
import {
  failureOf,
  hostileNotice,
  NEVER,
  openChannel,
  SLACK_SECRET,
  sampleNotice,
  sampleRecipient,
  startHttp,
} from './fixture.ts';

async function messageFor(notice: ReturnType<typeof sampleNotice>) {
  const { receiver, channel } = await startHttp('slack');
  await channel.send(notice, NEVER);
  expect(receiver.faults).toEqual([]);
  return JSON.parse(receiver.accepted[0]!.body);
}

interface TextObject {
  type: string;
  text: string;
}

/** All text objects of a message, wherever they are. */
function textsOf(message: unknown): TextObject[] {
  const found: TextObject[] = [];
  JSON.parse(JSON.stringify(message), (_key, value) => {
    if (value?.type === 'mrkdwn' || value?.type === 'plain_text') found.push(value);
    return value;
  });
  return found;
}

describe('a message to Slack', () => {
  test('says who, what, why, how long, by which rule, for whom, and the command', async () => {
    const message = await messageFor(sampleNotice());
    expect(message.text).toBe('ada asks for db-replica:write: oncall approve req_0123456789abcdefghj');
    expect(textsOf(message).map(({ text }) => text)).toEqual([
      'ada asks for db-replica:write',
      ...['*Who*', 'ada (Ada Example)', '*What*', 'db-replica:write', '*Why*', 'P1-123: replication lag'],
      ...['*How long*', '2h', '*Rule*', 'write-in-incident, stage 1 of 2'],
      'To answer: `oncall approve req_0123456789abcdefghj`',
      'For Bo Example, Cy Example',
    ]);
  });

  test('holds nothing of what came from outside that Slack would read as a mention or a link', async () => {
    const message = await messageFor(hostileNotice());
    const texts = [message.text, ...textsOf(message).map(({ text }) => text)];
    expect(texts.join('\n')).toContain('&lt;!channel&gt;');
    expect(texts.filter((text) => /[<>]|&(?!(amp|lt|gt);)/.test(text))).toEqual([]);
  });

  test('stays within the limits of Slack where escaping makes five characters of each', async () => {
    const ampersands = '&'.repeat(10_000);
    const to = Array.from({ length: 20 }, () => ({ ...sampleRecipient('bo'), name: ampersands }));
    const message = await messageFor(
      sampleNotice({ title: ampersands, why: ampersands, command: ampersands, to }),
    );
    expect(message.text).toMatch(/^(&amp;)+….*…$/);
  });

  test('formats our own words alone: what came from outside is plain text, or inside a code span it cannot leave', async () => {
    const marked = textsOf(await messageFor(hostileNotice())).filter(({ type }) => type === 'mrkdwn');
    for (const { text } of marked) expect(text).toMatch(/^(\*[A-Z][a-z ]+\*|To answer: `[^`]+`)$/);
    expect(marked.every((object) => 'verbatim' in object && object.verbatim === true)).toBe(true);
  });
});

describe('the answer of Slack', () => {
  test('is `ok`: a page of a proxy with status 200 is none', async () => {
    const { receiver, channel } = await startHttp('slack');
    receiver.meet({ status: 200, body: '<html>sign in</html>' });
    const error = await failureOf(channel.send(sampleNotice(), NEVER), SLACK_SECRET);
    expect(error).toMatchObject({ code: 'notice_failed', details: { permanent: false, status: 200 } });
  });
});

describe('the address of a Slack webhook', () => {
  test.each([
    `http://hooks.slack.com/services/${SLACK_SECRET}`,
    `http://127.evil.example/services/${SLACK_SECRET}`,
    `ftp://hooks.slack.com/services/${SLACK_SECRET}`,
    `https://user@hooks.slack.com/services/${SLACK_SECRET}`,
    `https://:pass@hooks.slack.com/services/${SLACK_SECRET}`,
    `hooks.slack.com/services/${SLACK_SECRET}`,
    '',
  ])('is refused as %s, without being told', async (address) => {
    const opened = openChannel({ kind: 'slack', webhook: { env: address } });
    expect(await failureOf(opened, SLACK_SECRET)).toMatchObject({ code: 'config_invalid' });
  });
});
