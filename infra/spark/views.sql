-- Made by make_views.py of the models in dbt_project; change those, and run it again.
-- Every statement is a view of the session: nothing is written, and nothing is computed until one is read.
-- README.md says what must be there before: usage_delta, lake_ratings and plan_billing_days.

-- DuckDB tells rows apart by file and row number, Spark by what is as unique and does not depend on files: the place
-- in Kafka.
create or replace temporary view lake_usage as
select
    *,
    topic as filename,
    struct(partition, offset, coalesce(record_item, 0)) as file_row_number
from usage_delta;

-- A build of DuckDB's reads dates; Spark reads the table whole, so no telling of a call lies elsewhere.
create or replace temporary view lake_usage_elsewhere as
select * from lake_usage where false;

create or replace temporary view plan_cross_date_keys as
select
    struct(source, event_id) as call_key,
    event_date
from lake_usage_elsewhere;

-- Every row of the table bears its commit itself.
create or replace temporary view plan_files as
select
    filename as path,
    'usage' as role,
    cast(0 as bigint) as commit_number
from lake_usage
group by filename;

create or replace temporary view stg_plan__billing_days as
WITH source AS (
  SELECT
    *
  FROM plan_billing_days
)
SELECT
  event_date,
  billing_date,
  billing_period_start,
  begins_at,
  ends_at
FROM source;

create or replace temporary view stg_lake__ratings as
WITH source AS (
  SELECT
    *
  FROM lake_ratings
)
SELECT
  topic,
  `partition` AS kafka_partition,
  `offset` AS kafka_offset,
  COALESCE(record_item, 0) AS record_item,
  event_date,
  list_cost,
  contracted_cost,
  contract_id,
  cost_basis,
  unpriced_reason,
  sku_price_id,
  catalogue_version,
  rating_sequence
FROM source;

create or replace temporary view stg_lake__usage_elsewhere as
WITH source AS (
  SELECT
    *
  FROM lake_usage_elsewhere
), renamed AS (
  SELECT
    filename AS file_path,
    file_row_number,
    topic,
    `partition` AS kafka_partition,
    `offset` AS kafka_offset,
    COALESCE(record_item, 0) AS record_item,
    commit_number AS row_commit_number,
    STRUCT(source, event_id) AS call_key,
    source,
    event_id,
    COALESCE(revision, 0) AS revision,
    COALESCE(action, 'record') AS telling_action,
    action_reason,
    COALESCE(usage_basis, 'reported') AS usage_basis,
    reporter,
    event_date,
    occurred_at,
    ingested_at,
    provider,
    model,
    operation_name,
    service_tier,
    `path` AS inference_path,
    region,
    data_class,
    environment,
    purpose,
    status,
    outcome,
    latency_ms,
    workflow,
    task_id,
    agent,
    attempt,
    release,
    COALESCE(call_id, event_id) AS call_id,
    parent_call_id,
    owner_team,
    owner_cost_center,
    owner_business_unit,
    owner_rule,
    billing_account_id,
    subscription_id,
    project_id,
    product,
    customer_id,
    principal_id,
    input_tokens,
    uncached_input_tokens,
    cache_read_tokens,
    cache_read_audio_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    audio_input_tokens,
    image_input_tokens,
    video_input_tokens,
    output_tokens,
    text_output_tokens,
    reasoning_tokens,
    audio_output_tokens,
    image_output_tokens,
    tool_calls,
    other_units,
    accelerator_seconds,
    accelerator_type,
    list_cost,
    contracted_cost,
    contract_id,
    cost_basis,
    unpriced_reason,
    sku_price_id,
    catalogue_version
  FROM source
), tellings AS (
  SELECT
    *
  FROM renamed
), cross_date_keys AS (
  SELECT
    *
  FROM plan_cross_date_keys
)
SELECT
  tellings.*
FROM tellings
SEMI JOIN cross_date_keys
  ON tellings.call_key = cross_date_keys.call_key
  AND tellings.event_date = cross_date_keys.event_date;

create or replace temporary view stg_lake__usage as
WITH source AS (
  SELECT
    *
  FROM lake_usage
), renamed AS (
  SELECT
    filename AS file_path,
    file_row_number,
    topic,
    `partition` AS kafka_partition,
    `offset` AS kafka_offset,
    COALESCE(record_item, 0) AS record_item,
    commit_number AS row_commit_number,
    STRUCT(source, event_id) AS call_key,
    source,
    event_id,
    COALESCE(revision, 0) AS revision,
    COALESCE(action, 'record') AS telling_action,
    action_reason,
    COALESCE(usage_basis, 'reported') AS usage_basis,
    reporter,
    event_date,
    occurred_at,
    ingested_at,
    provider,
    model,
    operation_name,
    service_tier,
    `path` AS inference_path,
    region,
    data_class,
    environment,
    purpose,
    status,
    outcome,
    latency_ms,
    workflow,
    task_id,
    agent,
    attempt,
    release,
    COALESCE(call_id, event_id) AS call_id,
    parent_call_id,
    owner_team,
    owner_cost_center,
    owner_business_unit,
    owner_rule,
    billing_account_id,
    subscription_id,
    project_id,
    product,
    customer_id,
    principal_id,
    input_tokens,
    uncached_input_tokens,
    cache_read_tokens,
    cache_read_audio_tokens,
    cache_write_5m_tokens,
    cache_write_1h_tokens,
    audio_input_tokens,
    image_input_tokens,
    video_input_tokens,
    output_tokens,
    text_output_tokens,
    reasoning_tokens,
    audio_output_tokens,
    image_output_tokens,
    tool_calls,
    other_units,
    accelerator_seconds,
    accelerator_type,
    list_cost,
    contracted_cost,
    contract_id,
    cost_basis,
    unpriced_reason,
    sku_price_id,
    catalogue_version
  FROM source
)
SELECT
  *
FROM renamed;

create or replace temporary view stg_plan__files as
WITH source AS (
  SELECT
    *
  FROM plan_files
)
SELECT
  `path` AS file_path,
  `role` AS file_role,
  commit_number
FROM source
WHERE
  NOT commit_number IS NULL;

create or replace temporary view int_ratings_in_force as
WITH ratings AS (
  SELECT
    *
  FROM stg_lake__ratings
), ratings_ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY topic, kafka_partition, kafka_offset, record_item
      ORDER BY rating_sequence DESC
    ) AS place_rank
  FROM ratings
)
SELECT
  topic,
  kafka_partition,
  kafka_offset,
  record_item,
  event_date,
  list_cost,
  contracted_cost,
  contract_id,
  cost_basis,
  unpriced_reason,
  sku_price_id,
  catalogue_version,
  rating_sequence
FROM ratings_ranked
WHERE
  place_rank = 1;

create or replace temporary view int_tellings_elsewhere_rated as
WITH tellings AS (
  SELECT
    *
  FROM stg_lake__usage_elsewhere
), ratings AS (
  SELECT
    *
  FROM int_ratings_in_force
)
SELECT
  tellings.*
  EXCEPT (list_cost, contracted_cost, contract_id, cost_basis, unpriced_reason, sku_price_id, catalogue_version),
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.list_cost
    ELSE ratings.list_cost
  END AS list_cost,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.contracted_cost
    ELSE ratings.contracted_cost
  END AS contracted_cost,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.contract_id
    ELSE ratings.contract_id
  END AS contract_id,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.cost_basis
    ELSE ratings.cost_basis
  END AS cost_basis,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.unpriced_reason
    ELSE ratings.unpriced_reason
  END AS unpriced_reason,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.sku_price_id
    ELSE ratings.sku_price_id
  END AS sku_price_id,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.catalogue_version
    ELSE ratings.catalogue_version
  END AS catalogue_version,
  tellings.list_cost AS metered_list_cost,
  tellings.contracted_cost AS metered_contracted_cost,
  COALESCE(ratings.rating_sequence, 0) AS rating_sequence
FROM tellings
LEFT JOIN ratings
  ON tellings.topic = ratings.topic
  AND tellings.kafka_partition = ratings.kafka_partition
  AND tellings.kafka_offset = ratings.kafka_offset
  AND tellings.record_item = ratings.record_item;

create or replace temporary view int_tellings_rated as
WITH tellings AS (
  SELECT
    *
  FROM stg_lake__usage
), ratings AS (
  SELECT
    *
  FROM int_ratings_in_force
)
SELECT
  tellings.*
  EXCEPT (list_cost, contracted_cost, contract_id, cost_basis, unpriced_reason, sku_price_id, catalogue_version),
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.list_cost
    ELSE ratings.list_cost
  END AS list_cost,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.contracted_cost
    ELSE ratings.contracted_cost
  END AS contracted_cost,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.contract_id
    ELSE ratings.contract_id
  END AS contract_id,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.cost_basis
    ELSE ratings.cost_basis
  END AS cost_basis,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.unpriced_reason
    ELSE ratings.unpriced_reason
  END AS unpriced_reason,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.sku_price_id
    ELSE ratings.sku_price_id
  END AS sku_price_id,
  CASE
    WHEN ratings.rating_sequence IS NULL
    THEN tellings.catalogue_version
    ELSE ratings.catalogue_version
  END AS catalogue_version,
  tellings.list_cost AS metered_list_cost,
  tellings.contracted_cost AS metered_contracted_cost,
  COALESCE(ratings.rating_sequence, 0) AS rating_sequence
FROM tellings
LEFT JOIN ratings
  ON tellings.topic = ratings.topic
  AND tellings.kafka_partition = ratings.kafka_partition
  AND tellings.kafka_offset = ratings.kafka_offset
  AND tellings.record_item = ratings.record_item;

create or replace temporary view int_tellings_resolved as
WITH planned AS (
  SELECT
    *,
    TRUE AS is_planned
  FROM int_tellings_rated
), elsewhere AS (
  SELECT
    *,
    FALSE AS is_planned
  FROM int_tellings_elsewhere_rated
), files AS (
  SELECT
    *
  FROM stg_plan__files
), tellings AS (
  SELECT
    *
  FROM planned
  UNION ALL
  SELECT
    *
  FROM elsewhere
), call_keys_told_twice AS (
  SELECT
    call_key
  FROM (
    SELECT
      call_key
    FROM planned
    UNION ALL
    SELECT
      call_key
    FROM elsewhere
  ) AS call_keys
  GROUP BY
    call_key
  HAVING
    COUNT(*) > 1
), tellings_in_question AS (
  SELECT
    tellings.*
  FROM tellings
  LEFT JOIN call_keys_told_twice
    ON tellings.call_key = call_keys_told_twice.call_key
  WHERE
    NOT call_keys_told_twice.call_key IS NULL OR tellings.telling_action = 'void'
), tellings_with_content AS (
  SELECT
    tellings_in_question.*,
    COALESCE(tellings_in_question.row_commit_number, files.commit_number) AS commit_number,
    CASE
      WHEN tellings_in_question.usage_basis = 'estimated'
      AND tellings_in_question.telling_action = 'record'
      THEN CAST(tellings_in_question.revision AS BIGINT)
      ELSE tellings_in_question.revision + 4294967296
    END AS telling_rank,
    STRUCT(
      tellings_in_question.telling_action,
      tellings_in_question.provider,
      tellings_in_question.model,
      tellings_in_question.input_tokens IS NULL,
      tellings_in_question.output_tokens IS NULL,
      COALESCE(tellings_in_question.uncached_input_tokens, 0),
      COALESCE(tellings_in_question.cache_read_tokens, 0),
      COALESCE(tellings_in_question.cache_read_audio_tokens, 0),
      COALESCE(tellings_in_question.cache_write_5m_tokens, 0),
      COALESCE(tellings_in_question.cache_write_1h_tokens, 0),
      COALESCE(tellings_in_question.audio_input_tokens, 0),
      COALESCE(tellings_in_question.image_input_tokens, 0),
      COALESCE(tellings_in_question.video_input_tokens, 0),
      COALESCE(tellings_in_question.text_output_tokens, 0),
      COALESCE(tellings_in_question.reasoning_tokens, 0),
      COALESCE(tellings_in_question.audio_output_tokens, 0),
      COALESCE(tellings_in_question.image_output_tokens, 0),
      ARRAY_SORT(MAP_ENTRIES(COALESCE(tellings_in_question.tool_calls, MAP()))),
      ARRAY_SORT(MAP_ENTRIES(COALESCE(tellings_in_question.other_units, MAP())))
    ) AS content_hash
  FROM tellings_in_question
  INNER JOIN files
    ON tellings_in_question.file_path = files.file_path
), dates_apart AS (
  SELECT
    *,
    DATEDIFF(
      event_date,
      LAG(event_date) OVER (PARTITION BY source, event_id ORDER BY event_date NULLS LAST)
    ) AS days_since_last
  FROM tellings_with_content
), calls_told AS (
  SELECT
    *,
    COUNT(CASE WHEN days_since_last > 35 THEN 1 END) OVER (
      PARTITION BY source, event_id
      ORDER BY event_date NULLS LAST
      range BETWEEN UNBOUNDED preceding AND CURRENT ROW
    ) AS call_number
  FROM dates_apart
), tellings_compared AS (
  SELECT
    *,
    MAX(telling_rank) OVER (PARTITION BY source, event_id, call_number) AS highest_rank,
    ROW_NUMBER() OVER first_told AS telling_number,
    FIRST_VALUE(content_hash) OVER first_told AS accepted_content_hash,
    FIRST_VALUE(topic) OVER first_told AS accepted_topic,
    FIRST_VALUE(kafka_partition) OVER first_told AS accepted_kafka_partition,
    FIRST_VALUE(kafka_offset) OVER first_told AS accepted_kafka_offset,
    FIRST_VALUE(record_item) OVER first_told AS accepted_record_item,
    FIRST_VALUE(input_tokens) OVER first_told AS accepted_input_tokens,
    FIRST_VALUE(output_tokens) OVER first_told AS accepted_output_tokens,
    FIRST_VALUE(list_cost) OVER first_told AS accepted_list_cost
  FROM calls_told
  WINDOW first_told AS (
    PARTITION BY source, event_id, call_number, telling_rank
    ORDER BY commit_number NULLS LAST, topic NULLS LAST, kafka_partition NULLS LAST, kafka_offset NULLS LAST, record_item NULLS LAST
  )
)
SELECT
  file_path,
  file_row_number,
  topic,
  kafka_partition,
  kafka_offset,
  record_item,
  commit_number,
  source,
  event_id,
  revision,
  telling_action,
  reporter,
  event_date,
  occurred_at,
  ingested_at,
  provider,
  model,
  owner_team,
  workflow,
  input_tokens,
  output_tokens,
  list_cost,
  accepted_topic,
  accepted_kafka_partition,
  accepted_kafka_offset,
  accepted_record_item,
  accepted_input_tokens,
  accepted_output_tokens,
  accepted_list_cost,
  CASE
    WHEN telling_number > 1 AND content_hash = accepted_content_hash
    THEN 'duplicate'
    WHEN telling_number > 1
    THEN 'conflict'
    WHEN telling_rank < highest_rank
    THEN 'superseded'
    WHEN telling_action = 'void'
    THEN 'voided'
    ELSE 'standing'
  END AS telling_state
FROM tellings_compared
WHERE
  is_planned;

create or replace temporary view int_calls_deduplicated as
WITH tellings AS (
  SELECT
    *
  FROM int_tellings_rated
), tellings_resolved AS (
  SELECT
    *
  FROM int_tellings_resolved
), billing_days AS (
  SELECT
    *
  FROM stg_plan__billing_days
), tellings_that_do_not_count AS (
  SELECT
    file_path,
    file_row_number
  FROM tellings_resolved
  WHERE
    telling_state <> 'standing'
), standing AS (
  SELECT
    tellings.*
  FROM tellings
  ANTI JOIN tellings_that_do_not_count
    ON tellings.file_row_number = tellings_that_do_not_count.file_row_number
    AND tellings.file_path = tellings_that_do_not_count.file_path
), standing_dated AS (
  SELECT
    standing.*,
    billing_days.billing_date,
    billing_days.billing_period_start
  FROM standing
  LEFT JOIN billing_days
    ON standing.event_date = billing_days.event_date
    AND standing.occurred_at >= billing_days.begins_at
    AND standing.occurred_at < billing_days.ends_at
), measured AS (
  SELECT
    file_path,
    topic,
    kafka_partition,
    kafka_offset,
    record_item,
    row_commit_number,
    source,
    event_id,
    event_date AS usage_date,
    billing_date,
    billing_period_start,
    occurred_at,
    COALESCE(owner_team, 'unallocated') AS team,
    COALESCE(owner_cost_center, 'unallocated') AS cost_center,
    COALESCE(owner_business_unit, 'unallocated') AS business_unit,
    owner_rule,
    COALESCE(workflow, 'unknown') AS workflow,
    task_id,
    COALESCE(agent, 'unknown') AS agent,
    COALESCE(release, 'unknown') AS release,
    call_id,
    parent_call_id,
    COALESCE(provider, 'unknown') AS provider,
    COALESCE(model, 'unknown') AS model,
    operation_name,
    COALESCE(service_tier, 'default') AS service_tier,
    billing_account_id,
    subscription_id,
    project_id,
    COALESCE(product, 'unknown') AS product,
    COALESCE(customer_id, 'unknown') AS customer_id,
    principal_id,
    COALESCE(environment, 'unknown') AS environment,
    COALESCE(inference_path, 'unknown') AS inference_path,
    COALESCE(region, 'unknown') AS region,
    COALESCE(data_class, 'unknown') AS data_class,
    COALESCE(purpose, 'unknown') AS purpose,
    COALESCE(cost_basis, 'unpriced') AS cost_basis,
    unpriced_reason,
    'USD' AS billing_currency,
    status,
    outcome,
    latency_ms,
    attempt,
    COALESCE(purpose = 'retry', FALSE) OR COALESCE(attempt > 1, FALSE) AS is_retry,
    input_tokens,
    COALESCE(
      cache_read_tokens + cache_read_audio_tokens,
      cache_read_tokens,
      cache_read_audio_tokens
    ) AS cache_read_tokens,
    COALESCE(
      cache_write_5m_tokens + cache_write_1h_tokens,
      cache_write_5m_tokens,
      cache_write_1h_tokens
    ) AS cache_write_tokens,
    output_tokens,
    reasoning_tokens,
    COALESCE(input_tokens + output_tokens, input_tokens, output_tokens) AS total_tokens,
    STRUCT(
      uncached_input_tokens AS uncached_input_tokens,
      cache_read_tokens AS cache_read_tokens,
      cache_read_audio_tokens AS cache_read_audio_tokens,
      cache_write_5m_tokens AS cache_write_5m_tokens,
      cache_write_1h_tokens AS cache_write_1h_tokens,
      audio_input_tokens AS audio_input_tokens,
      image_input_tokens AS image_input_tokens,
      video_input_tokens AS video_input_tokens,
      text_output_tokens AS text_output_tokens,
      reasoning_tokens AS reasoning_tokens,
      audio_output_tokens AS audio_output_tokens,
      image_output_tokens AS image_output_tokens
    ) AS token_units,
    tool_calls,
    other_units,
    accelerator_seconds,
    COALESCE(accelerator_type, 'unknown') AS accelerator_type,
    list_cost,
    contracted_cost,
    contract_id,
    sku_price_id,
    catalogue_version,
    rating_sequence
  FROM standing_dated
)
SELECT
  *,
  input_tokens - COALESCE(cache_read_tokens, 0) - COALESCE(cache_write_tokens, 0) AS uncached_input_tokens,
  1 AS calls,
  CASE WHEN list_cost IS NULL THEN 1 ELSE 0 END AS unpriced_calls,
  CASE WHEN list_cost IS NULL THEN total_tokens ELSE 0 END AS unpriced_tokens,
  contracted_cost AS effective_cost,
  CAST(NULL AS DECIMAL(38, 12)) AS billed_cost
FROM measured;

create or replace temporary view int_usage_days_summed as
WITH calls AS (
  SELECT
    *
  FROM int_calls_deduplicated
)
SELECT
  usage_date,
  billing_date,
  billing_period_start,
  team,
  cost_center,
  business_unit,
  workflow,
  agent,
  provider,
  model,
  service_tier,
  environment,
  inference_path,
  purpose,
  cost_basis,
  unpriced_reason,
  billing_currency,
  billing_account_id,
  subscription_id,
  contract_id,
  sku_price_id,
  CAST(SUM(accelerator_seconds) AS DECIMAL(38, 12)) AS accelerator_seconds,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls,
  CAST(SUM(unpriced_tokens) AS BIGINT) AS unpriced_tokens,
  CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(uncached_input_tokens) AS BIGINT) AS uncached_input_tokens,
  CAST(SUM(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
  CAST(SUM(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
  CAST(SUM(total_tokens) AS BIGINT) AS total_tokens,
  CAST(SUM(list_cost) AS DECIMAL(38, 12)) AS list_cost,
  CAST(SUM(contracted_cost) AS DECIMAL(38, 12)) AS contracted_cost,
  CAST(SUM(effective_cost) AS DECIMAL(38, 12)) AS effective_cost,
  CAST(SUM(billed_cost) AS DECIMAL(38, 12)) AS billed_cost
FROM calls
GROUP BY ALL;

create or replace temporary view usage_by_team as
SELECT
  billing_period_start,
  cost_center,
  team,
  billing_currency,
  CAST(SUM(accelerator_seconds) AS DECIMAL(38, 12)) AS accelerator_seconds,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls,
  CAST(SUM(unpriced_tokens) AS BIGINT) AS unpriced_tokens,
  CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(uncached_input_tokens) AS BIGINT) AS uncached_input_tokens,
  CAST(SUM(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
  CAST(SUM(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
  CAST(SUM(total_tokens) AS BIGINT) AS total_tokens,
  CAST(SUM(list_cost) AS DECIMAL(38, 12)) AS list_cost,
  CAST(SUM(contracted_cost) AS DECIMAL(38, 12)) AS contracted_cost,
  CAST(SUM(effective_cost) AS DECIMAL(38, 12)) AS effective_cost,
  CAST(SUM(billed_cost) AS DECIMAL(38, 12)) AS billed_cost
FROM int_usage_days_summed
GROUP BY ALL;

create or replace temporary view usage_by_workflow as
SELECT
  billing_period_start,
  team,
  workflow,
  billing_currency,
  CAST(SUM(accelerator_seconds) AS DECIMAL(38, 12)) AS accelerator_seconds,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(unpriced_calls) AS BIGINT) AS unpriced_calls,
  CAST(SUM(unpriced_tokens) AS BIGINT) AS unpriced_tokens,
  CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
  CAST(SUM(uncached_input_tokens) AS BIGINT) AS uncached_input_tokens,
  CAST(SUM(cache_read_tokens) AS BIGINT) AS cache_read_tokens,
  CAST(SUM(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
  CAST(SUM(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
  CAST(SUM(total_tokens) AS BIGINT) AS total_tokens,
  CAST(SUM(list_cost) AS DECIMAL(38, 12)) AS list_cost,
  CAST(SUM(contracted_cost) AS DECIMAL(38, 12)) AS contracted_cost,
  CAST(SUM(effective_cost) AS DECIMAL(38, 12)) AS effective_cost,
  CAST(SUM(billed_cost) AS DECIMAL(38, 12)) AS billed_cost
FROM int_usage_days_summed
GROUP BY ALL;
