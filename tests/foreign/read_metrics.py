#!/usr/bin/env python3
"""Reads metrics in the OpenMetrics text format from standard input with Prometheus' own parser, which is strict.

Prints a JSON object: `types` of the families by name, and `samples`, a list of [name, labels, value].
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
samples = [[sample.name, sample.labels, sample.value] for family in families for sample in family.samples]
print(json.dumps({"types": {family.name: family.type for family in families}, "samples": samples}))
