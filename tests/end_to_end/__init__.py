"""Tests of the whole service, judged by the strict client.

Coverage is not measured here: that takes a third of the time, and the tests of the parts have been through the code.
"""
