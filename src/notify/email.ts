/**
 * Notices by e-mail: one text/plain mail for all recipients who have an address. With more than one their addresses are
 * in the envelope alone, so that nobody reads another's. The Message-ID and the date come from the notice, so a repeat is
 * the same mail. Header injection (RFC 5322): titles and names are on one line already, addresses have a narrow form.
 *
 * TLS: from the first byte, or by STARTTLS (RFC 3207), which is required and whose certificate is verified. A relay on
 * loopback may do without; where it offers STARTTLS its certificate is not looked at, since it could as well offer none.
 */
import { createTransport } from 'nodemailer';
import type { ChannelSettings } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { noticeFailed, withDeadline } from './failure.ts';
import type { Notice, NoticeChannel, Recipient } from './notice.ts';
import { noticeKey } from './notice-key.ts';
import { clip, formatPlainText, wordsOf } from './words.ts';

/** Filters in front of a mailbox take their time before they say yes. */
const DEADLINE_MS = 30_000;
const NAME_LENGTH = 60;
const ADDRESS = /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)$/;

export type EmailSettings = Extract<ChannelSettings, { kind: 'email' }>;

export interface EmailSecrets {
  /** For `user`; undefined where the relay asks for no login. */
  password: string | undefined;
  /** PEM of the CA behind the relay's certificate; those that Node trusts unless given. */
  ca?: string | undefined;
}

/** Throws AppError `config_invalid` for a sender that is not an address. */
export function createEmailChannel(
  name: string,
  settings: EmailSettings,
  { password, ca }: EmailSecrets,
): NoticeChannel {
  const sender = parseSender(name, settings.from);
  const unprotected = !settings.tls && isLoopback(settings.host);
  const transport = createTransport({
    host: settings.host,
    port: settings.port,
    secure: settings.tls,
    requireTLS: !settings.tls && !unprotected,
    tls: { rejectUnauthorized: !unprotected, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) },
    ...(settings.user !== undefined && { auth: { user: settings.user, pass: password ?? '' } }),
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const closing = new AbortController();
  return {
    name,
    canReach: hasAddress,
    async send(notice, signal) {
      const recipients = notice.to.filter(hasAddress);
      if (recipients.length === 0)
        throw noticeFailed(name, 'none of the recipients has an e-mail address', { permanent: true });
      const mail = composeMail(notice, sender, recipients);
      const either = AbortSignal.any([signal, closing.signal]);
      const { rejectedErrors = [] } = await withDeadline(DEADLINE_MS, either, (cut) =>
        transport.sendMail({ ...mail, signal: cut }),
      ).catch((cause: MailError) => {
        if (cause.code === 'EENVELOPE' && cause.rejectedErrors) return cause;
        throw unsent(name, cause);
      });
      if (rejectedErrors.length > 0) throw refusal(name, recipients, rejectedErrors);
    },
    async close() {
      closing.abort();
      transport.close();
    },
  };
}

type Reachable = Recipient & { email: string };

function hasAddress(recipient: Recipient): recipient is Reachable {
  return recipient.email !== undefined && ADDRESS.test(recipient.email);
}

interface Sender {
  name: string;
  address: string;
  domain: string;
}

function composeMail(notice: Notice, sender: Sender, recipients: readonly Reachable[]) {
  const [first, ...others] = recipients;
  const one = first !== undefined && others.length === 0;
  return {
    from: { name: sender.name, address: sender.address },
    to: one ? { name: clip(first.name, NAME_LENGTH), address: first.email } : 'undisclosed-recipients:;',
    envelope: { from: sender.address, to: [...new Set(recipients.map(({ email }) => email))] },
    subject: `[oncall] ${wordsOf(notice).title}`,
    text: formatPlainText(notice),
    messageId: `<${noticeKey(notice.id).replaceAll(':', '.')}@${sender.domain}>`,
    date: new Date(notice.at),
    // RFC 3834: so that no absence notice comes back.
    headers: { 'Auto-Submitted': 'auto-generated' },
    xMailer: false as const,
  };
}

/** What nodemailer knows about a failure: the relay's reply code, where it replied. */
interface MailError {
  code?: string | undefined;
  responseCode?: number | undefined;
  recipient?: string | undefined;
  rejectedErrors?: readonly MailError[] | undefined;
}

function unsent(channel: string, cause: MailError): AppError {
  const { code, responseCode: status } = cause;
  if (status === undefined)
    return noticeFailed(channel, 'the mail relay did not take the mail', { permanent: false }, cause);
  // A relay that speaks no TLS today may do so tomorrow: it has not refused the notice.
  const permanent = status >= 500 && code !== 'ETLS';
  return noticeFailed(channel, `the mail relay answered ${status}`, { permanent, status }, cause);
}

/**
 * Some recipients or all were refused. While one refusal may pass, the whole is tried again: to those who have it already
 * the repeat is the same mail.
 */
function refusal(channel: string, recipients: readonly Reachable[], errors: readonly MailError[]): AppError {
  const addresses = new Set(errors.map(({ recipient }) => recipient?.toLowerCase()));
  const refused = recipients
    .filter(({ email }) => addresses.has(email.toLowerCase()))
    .map(({ user }) => user);
  const permanent = errors.every(({ responseCode = 0 }) => responseCode >= 500);
  return noticeFailed(channel, `the mail relay refused ${refused.join(', ')}`, { permanent, refused });
}

function parseSender(channel: string, from: string): Sender {
  const [, name = '', bracketed, bare] = /^(?:([^<>]*)<([^<>]+)>|([^<>]+))$/.exec(from.trim()) ?? [];
  const address = (bracketed ?? bare ?? '').trim();
  const domain = ADDRESS.exec(address)?.[1];
  if (domain !== undefined) return { name: clip(name.trim(), NAME_LENGTH), address, domain };
  throw new AppError('config_invalid', `channel ${channel}: the sender is not an e-mail address`, {
    hint: 'from: oncall <oncall@example.com>',
  });
}
