/**
 * What a database's admin runs to bring a MariaDB target in. The `mariadb` client takes the SQL as it stands, more than once
 * if need be; the broker's password is the only thing to fill in.
 */
import type { MariadbSettings } from '../catalogue/targets/mariadb.ts';
import type { Resource } from '../catalogue/types.ts';
import type { TargetGuide } from './issuer.ts';
import { mariadbSettings } from './mariadb-connection.ts';
import { OWNER, proceduresSql, SCHEMA } from './mariadb-procedures.ts';

const OWNER_RIGHTS = [
  ...['CREATE USER', 'CONNECTION ADMIN', 'PROCESS', 'READ_ONLY ADMIN', 'BINLOG ADMIN'],
  // To find and drop what a login leaves behind.
  ...['DROP', 'ALTER ROUTINE', 'EVENT', 'TRIGGER', 'SHOW VIEW'],
];

export function mariadbGuide(resource: Resource): TargetGuide {
  const settings = mariadbSettings(resource);
  const { host, port } = settings;
  return {
    steps: [
      {
        title:
          'the plugin, the procedures with their locked owner, the roles, and the broker’s login that may only call them',
        where: `the mariadb client, as an administrator, on ${host}:${port} (MariaDB 10.11 or newer); the password is 32 letters and digits: openssl rand -hex 16`,
        text: setUpSql(settings),
      },
      {
        title: 'the rights of each role',
        where: 'the same client; what they may do is your decision, for example:',
        text: [...settings.roles]
          .map(
            ([name, role]) =>
              `-- role ${name}\nGRANT SELECT ON ${quoteName(settings.database)}.* TO ${quoteName(role.grant)};`,
          )
          .join('\n'),
      },
      {
        title:
          'the event scheduler, which runs the reaper: MariaDB does not end accounts by the minute itself',
        where: 'the same client',
        text: fixes.scheduler(),
      },
      {
        title: 'the same at the next start',
        where: `a root shell on ${host} (where MariaDB reads /etc/mysql/mariadb.conf.d, as on Debian and Ubuntu)`,
        text: "printf '[mariadbd]\\nevent_scheduler=ON\\n' > /etc/mysql/mariadb.conf.d/90-oncall.cnf",
      },
      { title: 'prove it', where: "the broker's host", text: `oncall broker target ${resource.id} --check` },
    ],
  };
}

function setUpSql(settings: MariadbSettings): string {
  const broker = `${quoteName(settings.broker.user)}@'%'`;
  const tls = settings.sslMode === 'disable' ? '' : ' REQUIRE SSL';
  return [
    // Texts in the procedures are of the character set of whoever makes them: a client may come with latin1.
    'SET NAMES utf8mb4;',
    // As they stand at the procedures' making: what is refused here is never cut short there.
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION';",
    fixes.plugin(),
    `CREATE DATABASE IF NOT EXISTS ${SCHEMA} CHARACTER SET ascii COLLATE ascii_bin;`,
    `CREATE TABLE IF NOT EXISTS ${SCHEMA}.logins (name VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,`,
    '  until_ms BIGINT NOT NULL, about VARCHAR(500) CHARACTER SET utf8mb4 NOT NULL,',
    '  made_by VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL, closing BOOLEAN NOT NULL) ENGINE = InnoDB;',
    `CREATE USER IF NOT EXISTS ${OWNER} IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK;`,
    `GRANT ${OWNER_RIGHTS.join(', ')} ON *.* TO ${OWNER};`,
    `GRANT SELECT, UPDATE ON mysql.* TO ${OWNER};`,
    `GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, EVENT ON ${SCHEMA}.* TO ${OWNER};`,
    ...rolesOf(settings).flatMap((role) => [fixes.missingRole(role), fixes.roleGrant(role)]),
    proceduresSql(),
    `CREATE USER IF NOT EXISTS ${broker};`,
    `ALTER USER ${broker} IDENTIFIED VIA ed25519 USING PASSWORD('CHANGE-ME')${tls};`,
    fixes.execute(settings),
  ].join('\n');
}

export function rolesOf(settings: MariadbSettings): string[] {
  return [...new Set([...settings.roles.values()].map(({ grant }) => grant))];
}

/** One line for each requirement that a check can find missing. */
export const fixes = {
  plugin: () => "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519';",
  scheduler: () => 'SET GLOBAL event_scheduler = ON;',
  enableEvent: () => `ALTER EVENT ${SCHEMA}.reap ENABLE;`,
  missingRole: (role: string) => `CREATE ROLE IF NOT EXISTS ${quoteName(role)};`,
  roleGrant: (role: string) => `GRANT ${quoteName(role)} TO ${OWNER} WITH ADMIN OPTION;`,
  execute: ({ broker }: MariadbSettings) => `GRANT EXECUTE ON ${SCHEMA}.* TO ${quoteName(broker.user)}@'%';`,
};

export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
