"""Small label interfaces for the ML backend's tests."""

from __future__ import annotations

XML = """<View>
  <Text name="response" value="$response"/>
  <Choices name="mood" toName="response" choice="single"><Choice value="Good"/><Choice value="Bad"/></Choices>
  <Labels name="names" toName="response"><Label value="PERSON"/><Label value="ORG"/></Labels>
  <Rating name="stars" toName="response" maxRating="5"/>
</View>"""
