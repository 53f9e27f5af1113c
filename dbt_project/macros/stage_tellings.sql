{#- `call_key` finds tellings of one call; it never decides: what it brings together is compared by source and id. -#}
{% macro stage_tellings(relation) %}
with source as (

    select * from {{ relation }}

),

renamed as (

    select
        -- place
        filename as file_path,
        file_row_number,
        topic,
        "partition" as kafka_partition,
        "offset" as kafka_offset,
        coalesce(record_item, 0) as record_item,
        commit_number as row_commit_number,

        -- identity
        hash(source, event_id) as call_key,
        source,
        event_id,
        coalesce(revision, 0) as revision,
        coalesce(action, 'record') as telling_action,
        action_reason,
        coalesce(usage_basis, 'reported') as usage_basis,
        reporter,

        -- time
        event_date,
        occurred_at,
        ingested_at,

        -- what ran
        provider,
        model,
        operation_name,
        service_tier,
        "path" as inference_path,
        region,
        data_class,
        environment,
        purpose,
        status,
        outcome,
        latency_ms,

        -- for whom
        workflow,
        task_id,
        agent,
        attempt,
        release,
        coalesce(call_id, event_id) as call_id,
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

        -- quantities
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

        -- money
        list_cost,
        contracted_cost,
        contract_id,
        cost_basis,
        unpriced_reason,
        sku_price_id,
        catalogue_version

    from source

)

select * from renamed
{% endmacro %}
