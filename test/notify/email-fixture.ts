import { createEmailChannel, type EmailSecrets, type EmailSettings } from '../../src/notify/email.ts';
import { atEnd } from '../support/at-end.ts';
import { type MailReceiverOptions, startMailReceiver } from '../support/mail-receiver.ts';

export const LOGIN = { user: 'oncall', password: 'pa55-of-the-relay' };

interface Setup extends MailReceiverOptions {
  settings?: Partial<EmailSettings>;
  secrets?: Partial<EmailSecrets>;
}

/** A channel, and the relay it talks to. */
export async function startEmail({ settings, secrets, ...options }: Setup = {}) {
  const receiver = await startMailReceiver(options);
  atEnd(receiver.close);
  const channel = createEmailChannel(
    'ops',
    {
      kind: 'email',
      host: '127.0.0.1',
      port: receiver.port,
      tls: false,
      user: options.login?.user,
      password: undefined,
      from: 'On-call, Inc. <oncall@example.com>',
      ...settings,
    },
    { password: options.login?.password, ...secrets },
  );
  atEnd(channel.close);
  return { receiver, channel };
}
