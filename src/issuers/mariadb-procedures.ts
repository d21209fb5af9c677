/**
 * What stands at a MariaDB target between the broker and the right to make accounts: procedures that run with the rights of
 * a locked account, and that the broker's own login may call and nothing else. They make, prolong and drop accounts of our
 * names alone, with the roles that the catalogue lists alone. An event drops what outlived its time, broker or no broker.
 *
 * MariaDB commits each account statement by itself, so there is no transaction to refuse: an account is made locked, and
 * unlocked by a last statement that waits for no lock, after a look at the clock. SQLSTATE OC001 is "too late", OC002 "gone".
 * Nothing of it goes to the binary log: sessions on a replica would outlive the account there.
 */
import { createHash } from 'node:crypto';
import { HANDLE_PATTERN } from './login-names.ts';

export const SCHEMA = 'oncall';
/** Nobody logs in as this: it is locked, and has no password that could be right. */
export const OWNER = 'oncall_owner@localhost';
export const LATE = 'OC001';
export const GONE = 'OC002';
export const REAP_SECONDS = 15;
const CONNECTION_LIMIT = 10;
const LOCK_SECONDS = 3;

const NAME = 'VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin';

/** Global rights that a role may have: PROCESS, SHOW DATABASES, BINLOG MONITOR, SLAVE MONITOR, as bits of `access`. */
const HARMLESS = (1n << 8n) | (1n << 14n) | (1n << 20n) | (1n << 38n);

/** Bodies by their head. MariaDB's regular expressions let a line end stand before `$`, hence the looks for one. */
const ROUTINES: readonly (readonly [string, string])[] = [
  [
    'FUNCTION clock_ms() RETURNS BIGINT NOT DETERMINISTIC NO SQL',
    `RETURN TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000`,
  ],
  [
    `FUNCTION state_of(n ${NAME}) RETURNS VARCHAR(10) CHARACTER SET ascii READS SQL DATA`,
    `BEGIN
  DECLARE locked VARCHAR(10) CHARACTER SET ascii DEFAULT NULL;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET locked = NULL;
  SELECT IF(JSON_VALUE(Priv, '$.account_locked'), 'closed', 'open') INTO locked
    FROM mysql.global_priv WHERE Host = '%' AND User = n;
  RETURN COALESCE(locked, 'absent');
END`,
  ],
  [
    `FUNCTION sessions_of(n ${NAME}) RETURNS INT READS SQL DATA`,
    'RETURN (SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = n)',
  ],
  [
    `PROCEDURE require_name(n ${NAME})`,
    `BEGIN
  IF n IS NULL OR n NOT REGEXP '${HANDLE_PATTERN}' OR INSTR(n, CHAR(10)) > 0 THEN
    SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = 'oncall: not the name of an ephemeral account';
  END IF;
END`,
  ],
  [
    `PROCEDURE take_lock(n ${NAME})`,
    `BEGIN
  SET SESSION sql_log_bin = 0, lock_wait_timeout = ${LOCK_SECONDS}, innodb_lock_wait_timeout = ${LOCK_SECONDS};
  IF COALESCE(GET_LOCK(n, ${LOCK_SECONDS}), 0) = 0 THEN
    SIGNAL SQLSTATE '${LATE}' SET MESSAGE_TEXT = 'oncall: another call is at work on this account';
  END IF;
END`,
  ],
  [
    `PROCEDURE make_login(n ${NAME}, verifier VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin, granted ${NAME},
    about VARCHAR(500) CHARACTER SET utf8mb4, made_by VARCHAR(255) CHARACTER SET utf8mb4, until_ms BIGINT, deadline_ms BIGINT,
    needs_tls BOOLEAN)`,
    `BEGIN
  DECLARE account VARCHAR(100) CHARACTER SET ascii DEFAULT CONCAT('\`', n, '\`@\`%\`');
  CALL require_name(n);
  IF verifier NOT REGEXP '^[A-Za-z0-9+/]{43}$' OR CHAR_LENGTH(verifier) <> 43
     OR granted NOT REGEXP '^[A-Za-z0-9_$-]{1,80}$' OR INSTR(granted, CHAR(10)) > 0 THEN
    SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = 'oncall: not a verifier, or not a role';
  END IF;
  CALL take_lock(n);
  IF EXISTS (SELECT 1 FROM logins WHERE name = n AND closing) THEN
    SIGNAL SQLSTATE '${GONE}' SET MESSAGE_TEXT = 'oncall: its end has begun';
  END IF;
  IF clock_ms() >= deadline_ms THEN SIGNAL SQLSTATE '${LATE}' SET MESSAGE_TEXT = 'oncall: too late'; END IF;
  INSERT INTO logins (name, until_ms, about, made_by, closing) VALUES (n, until_ms, about, made_by, 0)
    ON DUPLICATE KEY UPDATE until_ms = VALUES(until_ms), about = VALUES(about), made_by = VALUES(made_by);
  EXECUTE IMMEDIATE CONCAT('CREATE OR REPLACE USER ', account, ' IDENTIFIED VIA ed25519 USING ''', verifier, '''',
    IF(needs_tls, ' REQUIRE SSL', ''), ' WITH MAX_USER_CONNECTIONS ${CONNECTION_LIMIT} ACCOUNT LOCK');
  EXECUTE IMMEDIATE CONCAT('GRANT \`', granted, '\` TO ', account);
  EXECUTE IMMEDIATE CONCAT('SET DEFAULT ROLE \`', granted, '\` FOR ', account);
  SET SESSION lock_wait_timeout = 0;
  IF clock_ms() >= deadline_ms THEN
    SET SESSION lock_wait_timeout = ${LOCK_SECONDS};
    EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS ', account);
    DELETE FROM logins WHERE name = n;
    SIGNAL SQLSTATE '${LATE}' SET MESSAGE_TEXT = 'oncall: too late';
  END IF;
  EXECUTE IMMEDIATE CONCAT('ALTER USER ', account, ' ACCOUNT UNLOCK');
END`,
  ],
  [
    `PROCEDURE prolong_login(n ${NAME}, later_ms BIGINT, deadline_ms BIGINT)`,
    `BEGIN
  DECLARE is_closing BOOLEAN DEFAULT NULL;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET is_closing = NULL;
  CALL require_name(n);
  CALL take_lock(n);
  START TRANSACTION;
  SELECT closing INTO is_closing FROM logins WHERE name = n FOR UPDATE;
  IF COALESCE(is_closing, 1) OR state_of(n) <> 'open' THEN
    ROLLBACK;
    SIGNAL SQLSTATE '${GONE}' SET MESSAGE_TEXT = 'oncall: no such account';
  END IF;
  UPDATE logins SET until_ms = later_ms WHERE name = n;
  IF clock_ms() >= deadline_ms THEN
    ROLLBACK;
    SIGNAL SQLSTATE '${LATE}' SET MESSAGE_TEXT = 'oncall: too late';
  END IF;
  COMMIT;
END`,
  ],
  [
    `PROCEDURE drop_definers(n ${NAME}, INOUT found JSON)`,
    `BEGIN
  DECLARE what VARCHAR(20) CHARACTER SET ascii;
  DECLARE place, object VARCHAR(64) CHARACTER SET utf8mb4;
  DECLARE done BOOLEAN DEFAULT 0;
  DECLARE objects CURSOR FOR
    SELECT 'TRIGGER', TRIGGER_SCHEMA, TRIGGER_NAME FROM information_schema.TRIGGERS WHERE DEFINER = CONCAT(n, '@%')
    UNION ALL SELECT 'EVENT', db, name FROM mysql.event WHERE definer = CONCAT(n, '@%')
    UNION ALL SELECT type, db, name FROM mysql.proc WHERE definer = CONCAT(n, '@%') AND type <> 'PACKAGE BODY'
    UNION ALL SELECT 'VIEW', TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEWS WHERE DEFINER = CONCAT(n, '@%');
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  OPEN objects;
  walk: LOOP
    FETCH objects INTO what, place, object;
    IF done THEN LEAVE walk; END IF;
    EXECUTE IMMEDIATE CONCAT('DROP ', what, ' IF EXISTS \`', REPLACE(place, '\`', '\`\`'), '\`.\`', REPLACE(object, '\`', '\`\`'), '\`');
    SET found = JSON_ARRAY_APPEND(found, '$', CONCAT(LOWER(what), ' ', place, '.', object, ' dropped'));
  END LOOP;
  CLOSE objects;
END`,
  ],
  [
    `PROCEDURE finish(n ${NAME}, OUT cut INT, OUT found JSON)`,
    `BEGIN
  DECLARE account VARCHAR(100) CHARACTER SET ascii DEFAULT CONCAT('\`', n, '\`@\`%\`');
  DECLARE rounds INT DEFAULT 0;
  SET cut = sessions_of(n), found = JSON_ARRAY();
  IF cut > 0 OR state_of(n) <> 'absent' OR EXISTS (SELECT 1 FROM logins WHERE name = n) THEN
    UPDATE logins SET closing = 1 WHERE name = n;
    EXECUTE IMMEDIATE CONCAT('ALTER USER IF EXISTS ', account, ' ACCOUNT LOCK');
    SET cut = sessions_of(n);
    EXECUTE IMMEDIATE CONCAT('KILL HARD USER \`', n, '\`');
    EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS ', account);
    CALL drop_definers(n, found);
    WHILE sessions_of(n) > 0 AND rounds < 40 DO
      EXECUTE IMMEDIATE CONCAT('KILL HARD USER \`', n, '\`');
      DO SLEEP(0.05);
      SET rounds = rounds + 1;
    END WHILE;
    DELETE FROM logins WHERE name = n;
  END IF;
END`,
  ],
  [
    `PROCEDURE end_login(n ${NAME})`,
    `BEGIN
  CALL require_name(n);
  CALL take_lock(n);
  CALL finish(n, @oncall_cut, @oncall_found);
  SELECT @oncall_cut AS cut, @oncall_found AS found;
END`,
  ],
  [
    `PROCEDURE look(n ${NAME})`,
    `BEGIN
  CALL require_name(n);
  SELECT state_of(n) AS state, sessions_of(n) AS sessions;
END`,
  ],
  [
    'PROCEDURE survey(by_whom VARCHAR(255) CHARACTER SET utf8mb4, most INT)',
    `SELECT User AS name, until_ms, made_by, about
    FROM mysql.global_priv LEFT JOIN logins ON name = User
    WHERE Host = '%' AND User REGEXP '${HANDLE_PATTERN}' AND (made_by IS NULL OR made_by = by_whom COLLATE utf8mb4_bin)
    ORDER BY User LIMIT most`,
  ],
  [
    'PROCEDURE reap()',
    `BEGIN
  DECLARE n ${NAME};
  DECLARE done BOOLEAN DEFAULT 0;
  DECLARE outlived CURSOR FOR
    SELECT name FROM logins WHERE until_ms <= clock_ms()
    UNION SELECT User FROM mysql.global_priv
      WHERE Host = '%' AND User REGEXP '${HANDLE_PATTERN}' AND User NOT IN (SELECT name FROM logins);
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  OPEN outlived;
  walk: LOOP
    FETCH outlived INTO n;
    IF done THEN LEAVE walk; END IF;
    BEGIN
      -- One that cannot be dropped now is dropped later, and holds up nobody.
      DECLARE EXIT HANDLER FOR SQLEXCEPTION DO RELEASE_LOCK(n);
      CALL require_name(n);
      CALL take_lock(n);
      IF NOT EXISTS (SELECT 1 FROM logins WHERE name = n AND until_ms > clock_ms()) THEN
        CALL finish(n, @oncall_cut, @oncall_found);
      END IF;
      DO RELEASE_LOCK(n);
    END;
  END LOOP;
  CLOSE outlived;
END`,
  ],
  [
    `PROCEDURE look_at_role(r ${NAME})`,
    `SELECT EXISTS (SELECT 1 FROM mysql.global_priv WHERE Host = '' AND User = r AND JSON_VALUE(Priv, '$.is_role')) AS present,
    EXISTS (SELECT 1 FROM mysql.roles_mapping
      WHERE Host = 'localhost' AND User = '${OWNER.split('@')[0]}' AND Role = r AND Admin_option = 'Y') AS grantable,
    COALESCE((SELECT JSON_VALUE(Priv, '$.access') & ~${HARMLESS} FROM mysql.global_priv WHERE Host = '' AND User = r), 0) <> 0 AS global,
    EXISTS (SELECT 1 FROM mysql.roles_mapping WHERE Host = '' AND User = r) AS nested,
    EXISTS (SELECT 1 FROM mysql.db WHERE Host = '' AND User = r AND (Grant_priv = 'Y' OR Db IN ('mysql', '${SCHEMA}')))
      OR EXISTS (SELECT 1 FROM mysql.tables_priv WHERE Host = '' AND User = r AND (FIND_IN_SET('Grant', Table_priv) OR Db IN ('mysql', '${SCHEMA}')))
      OR EXISTS (SELECT 1 FROM mysql.procs_priv WHERE Host = '' AND User = r AND (FIND_IN_SET('Grant', Proc_priv) OR Db IN ('mysql', '${SCHEMA}'))) AS beyond,
    (SELECT COUNT(*) FROM mysql.proc WHERE definer IN (r, CONCAT(r, '@'))) + (SELECT COUNT(*) FROM mysql.event WHERE definer IN (r, CONCAT(r, '@')))
      + (SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE DEFINER = CONCAT(r, '@'))
      + (SELECT COUNT(*) FROM information_schema.VIEWS WHERE DEFINER = CONCAT(r, '@')) AS defines`,
  ],
];

/** Tells procedures of one version of this file from another's. */
export const DIGEST = createHash('sha256').update(JSON.stringify(ROUTINES)).digest('hex').slice(0, 16);

const STATUS: readonly [string, string] = [
  'PROCEDURE status()',
  `SELECT '${DIGEST}' AS digest, clock_ms() AS now_ms,
    (SELECT COUNT(*) FROM mysql.global_priv WHERE Host = '%' AND User REGEXP '${HANDLE_PATTERN}') AS accounts,
    (SELECT status FROM mysql.event WHERE db = '${SCHEMA}' AND name = 'reap') AS event_status,
    (SELECT TIMESTAMPDIFF(SECOND, last_executed, UTC_TIMESTAMP()) FROM mysql.event WHERE db = '${SCHEMA}' AND name = 'reap') AS event_age`,
];

/** For the `mariadb` client, whose delimiter has to be changed around bodies. Done again, it puts the same in place. */
export function proceduresSql(): string {
  const routines = [...ROUTINES, STATUS].map(
    ([head, body]) => `CREATE OR REPLACE DEFINER = ${OWNER} ${head}\nSQL SECURITY DEFINER\n${body}//`,
  );
  return [
    `USE ${SCHEMA};`,
    'DELIMITER //',
    ...routines,
    `CREATE OR REPLACE DEFINER = ${OWNER} EVENT reap ON SCHEDULE EVERY ${REAP_SECONDS} SECOND ENABLE DO CALL ${SCHEMA}.reap()//`,
    'DELIMITER ;',
  ].join('\n');
}
