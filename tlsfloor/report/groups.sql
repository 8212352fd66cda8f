-- Groups the lines of event files that are equal except for time, host, pid and count, and sums up
-- each group. What a line means is judged afterwards, once for each group, by the same code that
-- reads a file line by line. So all engines give the same answer.
--
-- lines(path, line): each line as it is, without its newline. Only the first `"time":` of a line is
-- replaced, and only by what leaves its JSON as valid, or as invalid, as it was. If it was not the
-- time of the event, the value that counts is still in the key, and so the same in all its lines.
-- A line that is long, or of another schema, is a group of its own.
--
-- `query()` of groups.py puts its constants in place of the words in braces. The other numbers are of
-- texts: a time of this century has 10 digits and at most 7 behind the point, a count has at most 12
-- (`MOST_COUNTED`), a pid 18, and what is looked at for each is a little longer. What has more stays
-- in the key, so that it costs a group, and is judged as any other line.
WITH begun AS (
  SELECT path, line, length(line) AS size, regexp_extract(line,
    '^[{]"schema": ?1, ?"time": ?[12][0-9]{9}(?:[.][0-9]{1,7})?, ?"host": ?"[A-Za-z0-9._-]*", ?"pid": ?[0-9]{1,18},',
    0) AS head
  FROM lines
), head_found AS (
  SELECT path, line, size, head, regexp_extract(head, '[0-9]{10}[0-9.]*', 0) AS moment FROM begun
), headed AS (
  SELECT path, line, size, head, moment,
    moment BETWEEN '{earliest}' AND '{latest}' AND size <= {grouped} AS usual,
    moment BETWEEN '{earliest}' AND '{latest}' OR strpos(line, '"schema": 1,') > 0
    OR strpos(line, '"schema":1,') > 0 AS plain
  FROM head_found
), time_placed AS (
  SELECT path, line, size, head, moment, usual, plain AND size <= {grouped} AS plain,
    CASE WHEN usual THEN 0 ELSE strpos(line, '"time":') END AS place
  FROM headed
), time_found AS (
  SELECT path, line, size, head, moment, usual, plain, place, CASE WHEN place > 0 THEN
    coalesce(
      regexp_extract(substr(line, place + 7, 20), '^( ?[1-9][0-9]{9}(?:[.][0-9]{1,7})?)[,}]', 1), '')
    ELSE '' END AS token
  FROM time_placed
), timed AS (
  SELECT path, line, size, plain, usual,
    CASE WHEN usual THEN moment WHEN trim(token) BETWEEN '{earliest}' AND '{latest}' THEN trim(token) END AS moment,
    CASE WHEN usual THEN regexp_extract(head, '"host": ?("[^"]*")', 1) END AS host,
    CASE WHEN usual THEN concat('{"schema":1,"time":{time},"host":{host},"pid":1,', substr(line, length(head) + 1))
      WHEN trim(token) BETWEEN '{earliest}' AND '{latest}'
      THEN concat(substr(line, 1, place + 6), '{time}', substr(line, place + 7 + length(token)))
      ELSE line END AS key
  FROM time_found
), host_placed AS (
  SELECT path, line, size, plain, usual, moment, host, key,
    CASE WHEN usual THEN 0 ELSE strpos(key, '"host":') END AS place FROM timed
), host_found AS (
  SELECT path, line, size, plain, usual, moment, host, key, place, CASE WHEN place > 0 THEN
    coalesce(regexp_extract(substr(key, place + 7, 128), '^( ?"[A-Za-z0-9._-]*")[,}]', 1), '')
    ELSE '' END AS token
  FROM host_placed
), hosted AS (
  SELECT path, line, size, plain, moment, CASE WHEN usual THEN host ELSE nullif(token, '') END AS host,
    CASE WHEN usual THEN key ELSE
    regexp_replace(CASE WHEN token = '' THEN key
      ELSE concat(substr(key, 1, place + 6), '{host}', substr(key, place + 7 + length(token)))
      END, '"pid": ?[1-9][0-9]{0,17},', '"pid":1,') END AS key
  FROM host_found
), count_placed AS (
  SELECT path, line, size, plain, moment, host, key, strpos(key, '"count":') AS place FROM hosted
), count_found AS (
  SELECT path, line, size, plain, moment, host, key, place,
    CASE WHEN place > 0 AND substr(key, place + 8, 3) <> ' 1,' THEN
    coalesce(regexp_extract(substr(key, place + 8, 14), '^( ?[1-9][0-9]{0,11})[,}]', 1), '')
    ELSE '' END AS token
  FROM count_placed
), counted AS (
  SELECT path, line, size, plain, moment, host, nullif(trim(token), '') AS many,
    CASE WHEN token = '' THEN key
      ELSE concat(substr(key, 1, place + 7), '{count}', substr(key, place + 8 + length(token)))
      END AS key
  FROM count_found
), keyed AS (
  SELECT path, size,
    CASE WHEN plain THEN key ELSE substr(line, 1, {longest} + 1) END AS key,
    CASE WHEN plain THEN host END AS host,
    CASE WHEN plain THEN cast(moment AS DECIMAL(18, 7)) END AS moment,
    CASE WHEN plain THEN cast(many AS DECIMAL(18, 0)) END AS many,
    CASE WHEN plain
      THEN floor((cast(substr(moment, 1, 10) AS BIGINT) - {monday}) / {width}) END AS slot
  FROM counted
)
SELECT key,
  grouping(path) + 2 * grouping(host) + 4 * grouping(slot) AS missing,
  path, host,
  count(*) AS lines,
  sum(size) AS size,
  cast(sum(many) AS VARCHAR) AS events,
  cast(min(moment) AS VARCHAR) AS first,
  cast(max(moment) AS VARCHAR) AS last
FROM keyed
GROUP BY GROUPING SETS ((path, key), (key, host), (key, slot), ())
ORDER BY key
