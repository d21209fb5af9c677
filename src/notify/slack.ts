/**
 * Slack's incoming webhooks (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): a message of Block Kit
 * blocks, answered with 200 and `ok`. Slack reads markup out of `&`, `<` and `>` in every text object, so what comes from
 * outside has them escaped, and stands in `plain_text`, where there is neither formatting nor linking: a name can neither
 * mention a channel nor pass for a label of ours.
 */

import { noticeFailed } from './failure.ts';
import type { Notice, NoticeChannel } from './notice.ts';
import { createPoster, refusedAnswer } from './post.ts';
import { clip, listFacts, wordsOf } from './words.ts';

// The limits of the header block, of a section's fields and of a text object (docs.slack.dev/reference/block-kit).
const HEADER_LENGTH = 150;
const FIELD_LENGTH = 2000;
const TEXT_LENGTH = 3000;

/** `webhook` is the whole address, which is a secret. Throws AppError `config_invalid`. */
export function createSlackChannel(name: string, webhook: string): NoticeChannel {
  const poster = createPoster(name, webhook);
  return {
    name,
    canReach: () => true,
    async send(notice, signal) {
      const { status, text } = await poster.post(JSON.stringify(messageOf(notice)), {}, signal);
      if (status !== 200) throw refusedAnswer(name, status);
      if (text.trim() !== 'ok')
        throw noticeFailed(name, 'the answer is not that of Slack', { permanent: false, status });
    },
    close: poster.close,
  };
}

function messageOf(notice: Notice): object {
  const words = wordsOf(notice);
  const { title, command, to } = words;
  const fields = listFacts(words).flatMap(({ label, text }) => [
    markup(`*${label}*`),
    plain(text, FIELD_LENGTH),
  ]);
  return {
    // What notifications show, and clients that know no blocks.
    text: clip(command === '' ? title : `${title}: ${command}`, TEXT_LENGTH, escapeForSlack),
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plain(title, HEADER_LENGTH) },
      ...(fields.length === 0 ? [] : [{ type: 'section', fields }]),
      ...(command === '' ? [] : [{ type: 'section', text: markup(`To answer: \`${codeOf(command)}\``) }]),
      ...(to === '' ? [] : [{ type: 'context', elements: [plain(`For ${to}`, FIELD_LENGTH)] }]),
    ],
  };
}

/** Without emoji, so that `:name:` stays what it is; Slack refuses an empty text. */
function plain(text: string, maxLength: number): object {
  return { type: 'plain_text', text: clip(text, maxLength, escapeForSlack) || '-', emoji: false };
}

function markup(text: string): object {
  return { type: 'mrkdwn', text, verbatim: true };
}

function codeOf(command: string): string {
  return clip(command.replaceAll('`', "'"), FIELD_LENGTH, escapeForSlack);
}

function escapeForSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
